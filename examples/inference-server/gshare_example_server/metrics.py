"""The server's metrics, in one table, on a registry of their own."""

import prometheus_client
from prometheus_client import registry


class Metrics:
    """Counts what the server did; `text` is the Prometheus exposition of it."""

    content_type = prometheus_client.CONTENT_TYPE_LATEST

    def __init__(self, model: str) -> None:
        self._registry = registry.CollectorRegistry()
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
