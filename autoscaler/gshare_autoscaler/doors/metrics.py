"""The gauge that is the second door, and what is counted at the others: one table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gshare import names
from gshare_autoscaler.answers import Answer, Answers

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LABELS: Final = ("namespace", "deployment", "function")


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted as it happens."""

    answers: Counter
    latency: Histogram
    registered: Gauge
    certificate_end: Gauge


def counts(registry: CollectorRegistry) -> Counts:
    """Return all at zero, in `registry`."""
    prefix = "gshare_autoscaler"
    return Counts(
        Counter(
            f"{prefix}_answers_total",
            "Requests at a door by outcome (HTTP's or gRPC's code).",
            ("door", "code"),
            registry=registry,
        ),
        Histogram(
            f"{prefix}_answer_seconds",
            "Time to answer a request at a door.",
            ("door",),
            buckets=_SECONDS,
            registry=registry,
        ),
        Gauge(
            f"{prefix}_apiservice_registered",
            "1 where the APIService names this autoscaler; 0 where it is missing or another's.",
            ("version",),
            registry=registry,
        ),
        Gauge(
            f"{prefix}_serving_certificate_end_timestamp_seconds",
            "When the certificate of the metrics API ends.",
            registry=registry,
        ),
    )


class DesiredReplicas(Collector):
    """The gauge: the number of each Deployment that has one, read at each scrape.

    A Deployment without a number has no series: a rule over the gauge must find nothing rather
    than something old.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def collect(self) -> Iterator[Metric]:
        """Yield the gauge."""
        gauge = GaugeMetricFamily(
            names.METRIC_DESIRED_REPLICAS, "Replicas that a Deployment should have.", labels=LABELS
        )
        for answer in self._answers.all():
            if answer.replicas is not None:
                gauge.add_metric(tuple(labels(answer).values()), answer.replicas)
        yield gauge


def labels(answer: Answer) -> dict[str, str]:
    """Return the labels of a Deployment's number, the same at every door."""
    target = answer.target
    return dict(zip(LABELS, (target.namespace, target.name, answer.about.function), strict=True))
