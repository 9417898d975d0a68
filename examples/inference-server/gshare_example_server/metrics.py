"""The server's metrics, in one table, on a registry of their own."""

from collections.abc import Iterator

import prometheus_client
from prometheus_client import metrics_core, registry

from .arrivals import Arrivals


class _Offered(registry.Collector):
    """The counter that gshare's autoscaler reads; its labels come from Prometheus's relabelling."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def collect(self) -> Iterator[metrics_core.Metric]:
        """Yield the count as it is now."""
        yield metrics_core.CounterMetricFamily(
            "gshare_function_requests",
            "Inference requests that have arrived, answered or not.",
            value=self._arrivals.total,
        )


class Metrics:
    """Counts what the server did; `text` is the Prometheus exposition of it."""

    content_type = prometheus_client.CONTENT_TYPE_LATEST

    def __init__(self, model: str, arrivals: Arrivals) -> None:
        self._registry = registry.CollectorRegistry()
        self._registry.register(_Offered(arrivals))
        self._requests = prometheus_client.Counter(
            "example_requests",
            "Requests answered, by model and HTTP status.",
            ["model", "status"],
            registry=self._registry,
        )
        self._latency = prometheus_client.Histogram(
            "example_request_seconds",
            "Time from a request's arrival at its handler to its answer.",
            ["model"],
            registry=self._registry,
            buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50),
        ).labels(model)
        self._gpu = prometheus_client.Counter(
            "example_gpu_seconds",
            "Time between the first and last GPU operation of requests, as CUDA events tell it.",
            ["model"],
            registry=self._registry,
        ).labels(model)
        self._model = model

    def answered(self, status: int, seconds: float, gpu_seconds: float) -> None:
        """Count one request."""
        self._requests.labels(self._model, str(status)).inc()
        self._latency.observe(seconds)
        self._gpu.inc(gpu_seconds)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return prometheus_client.generate_latest(self._registry)
