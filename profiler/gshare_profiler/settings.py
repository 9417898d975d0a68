"""How long and how hard a trial measures, each with its reason."""

from collections.abc import Sequence
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
class Rounds:
    """How often a rate is measured: until the two highest agree.

    What disturbs a round makes it slower, never faster.
    """

    span: Span
    """Of one round."""
    most: int = 6
    agreement: float = 0.015
    """Relative difference of two rates that agree."""

    def are_enough(self, rates: Sequence[float]) -> bool:
        """Tell whether rounds with these rates are enough."""
        if len(rates) >= self.most:
            return True
        best = sorted(rates)[-2:]
        return len(best) == 2 and best[1] - best[0] <= self.agreement * best[1]

    def times(self, factor: float) -> Self:
        """Return the rounds of a GPU that is so many times slower."""
        return replace(self, span=self.span.times(factor))


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """One trial. Seconds are those of the GPU: a simulated one may run slower than real time."""

    users: int = USERS
    """Requests at the replica at once: more than any server's queue on the GPU is deep, so that
    it is saturated, and fewer than make it refuse."""
    warm_up_s: float = 0.5
    """Not counted: first requests load kernels, and a lease may start with unspent quota."""
    saturation: Rounds = field(default_factory=lambda: Rounds(Span(1.5, 25, 10.0)))
    """A quota is counted in windows of 40 ms: two rounds of 1.5 s hold 75 of them, which leaves an
    error of 1 to 2 %."""
    latency: Span = field(default_factory=lambda: Span(2.5, 50, 20.0))
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
