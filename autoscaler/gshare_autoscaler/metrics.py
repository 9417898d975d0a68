"""The autoscaler's metrics: what is counted as it happens, and gauges read at each scrape.

The number that HPAs follow is the door's (`doors`), and comes from the same store.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .conditions import Reason
from .courses import Standing
from .profiles import Name

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FUNCTION: Final = ("namespace", "function")

# Gauges: name, help, labels.
_GAUGES: Final = (
    ("gshare_autoscaler_ready", "1 where Deployments and ConfigMaps are known and fresh.", ()),
    ("gshare_autoscaler_watch_connected", "1 while the watch is open.", ("resource",)),
    ("gshare_function_offered_rps", "Requests per second that arrive.", _FUNCTION),
    ("gshare_function_forecast_rps", "What is expected while replicas start.", _FUNCTION),
    ("gshare_function_planned_rps", "What was planned for, with headroom.", _FUNCTION),
    ("gshare_function_capacity_rps", "What Ready replicas serve by the profile.", _FUNCTION),
    ("gshare_function_gap_rps", "Planned minus capacity.", _FUNCTION),
    ("gshare_function_plan_gpus", "Cost of the plan by dominant share, in GPUs.", _FUNCTION),
    ("gshare_function_decided_seconds", "When it was decided last, of the epoch.", _FUNCTION),
    ("gshare_function_condition", "1 for the function's condition.", (*_FUNCTION, "reason")),
    (
        "gshare_deployment_refused",
        "1 for a Deployment that is not scaled.",
        ("namespace", "deployment", "function", "reason"),
    ),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted as it happens."""

    registry: CollectorRegistry
    rounds: Histogram
    queries: Counter
    costs: Counter


def counts() -> Counts:
    """Return all counters at zero, in a registry of their own."""
    registry = CollectorRegistry(auto_describe=False)
    name = "gshare_autoscaler"
    return Counts(
        registry,
        Histogram(f"{name}_round_seconds", "Time of a round.", buckets=_SECONDS, registry=registry),
        Counter(f"{name}_queries_total", "Queries by outcome.", ("outcome",), registry=registry),
        Counter(f"{name}_deletion_costs_total", "Deletion costs written.", registry=registry),
    )


class FunctionCollector(Collector):
    """Reads the gauges from the standings at each scrape."""

    def __init__(
        self,
        standings: Callable[[], Mapping[Name, Standing]],
        trouble: Callable[[], str],
        connected: Callable[[], Mapping[str, bool]],
    ) -> None:
        self._standings = standings
        self._trouble = trouble
        self._connected = connected

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge of the table."""
        gauges = {
            name: GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _GAUGES
        }
        gauges["gshare_autoscaler_ready"].add_metric((), float(not self._trouble()))
        for resource, is_open in self._connected().items():
            gauges["gshare_autoscaler_watch_connected"].add_metric((resource,), float(is_open))
        for name, standing in self._standings().items():
            _add(gauges, (name.namespace, name.function), standing)
        yield from gauges.values()


def _add(
    gauges: Mapping[str, GaugeMetricFamily], labels: tuple[str, str], standing: Standing
) -> None:
    reason = standing.trouble.reason if standing.trouble else Reason.DECIDED
    gauges["gshare_function_condition"].add_metric((*labels, reason.value), 1.0)
    for refused in standing.function.refused:
        gauges["gshare_deployment_refused"].add_metric(
            (labels[0], refused.target.name, labels[1], refused.trouble.reason.value), 1.0
        )
    decision = standing.decision
    if decision is None:
        return
    for name, value in (
        ("offered_rps", decision.rate_rps),
        ("forecast_rps", decision.forecast_rps),
        ("planned_rps", decision.planned_rps),
        ("capacity_rps", decision.capacity_rps),
        ("gap_rps", decision.gap_rps),
        ("plan_gpus", decision.plan.cost),
        ("decided_seconds", standing.decided_at_s),
    ):
        gauges[f"gshare_function_{name}"].add_metric(labels, value)
