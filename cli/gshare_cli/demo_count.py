"""How many requests an example server has answered well, by its own metrics."""

import time
from dataclasses import dataclass
from typing import Final

from prometheus_client import parser

_COUNTER: Final = "example_requests_total"


@dataclass(frozen=True, slots=True)
class Count:
    """Requests that a replica had answered at a moment."""

    requests: float
    at_s: float

    @classmethod
    def of(cls, metrics: str) -> "Count":
        """Return what the server's metrics say now."""
        samples = (
            sample
            for family in parser.text_string_to_metric_families(metrics)
            for sample in family.samples
            if sample.name == _COUNTER and sample.labels.get("status") == "200"
        )
        return cls(sum(sample.value for sample in samples), time.monotonic())

    def rate_since(self, earlier: "Count") -> float:
        """Return the requests per second since `earlier`."""
        return (self.requests - earlier.requests) / (self.at_s - earlier.at_s)
