"""How long and how hard a trial measures, each with its reason."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

Arrivals = Literal["even", "poisson"]
USERS: Final = 8


@dataclass(frozen=True, slots=True)
class Span:
    """How long something is measured: so long and so many requests, but no longer than the most."""

    seconds: float
    requests: int
    most_seconds: float

    def is_over(self, seconds: float, requests: int) -> bool:
        """Tell whether so much is enough."""
        enough = seconds >= self.seconds and requests >= self.requests
        return enough or seconds >= self.most_seconds

    def times(self, factor: float) -> Self:
        """Return the span of a GPU that is so many times slower."""
        return replace(self, seconds=self.seconds * factor, most_seconds=self.most_seconds * factor)


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """One trial. Seconds are those of the GPU: a simulated one may run slower than real time."""

    users: int = USERS
    """Requests at the replica at once: more than any server's queue on the GPU is deep, so that
    it is saturated, and fewer than make it refuse."""
    warm_up_s: float = 1.0
    """Not counted: first requests load kernels, and a lease may start with unspent quota."""
    saturation: Span = field(default_factory=lambda: Span(3.0, 60, 20.0))
    """A quota is counted in windows of 40 ms, so 3 s hold 75 of them: an error of 1 % at most."""
    latency: Span = field(default_factory=lambda: Span(4.0, 100, 30.0))
    """100 requests, so that one of them is beyond the 99th percentile."""
    load_share: float = 0.8
    """Share of the throughput that is offered while latencies are measured."""
    arrivals: Arrivals = "even"
    """`even` as load generators send at a constant rate; `poisson` as independent users would."""

    def times(self, factor: float) -> Self:
        """Return the trial on a GPU that is so many times slower."""
        return replace(
            self,
            warm_up_s=self.warm_up_s * factor,
            saturation=self.saturation.times(factor),
            latency=self.latency.times(factor),
        )
