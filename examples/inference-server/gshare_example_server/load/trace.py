"""How much load is offered when: a rate that changes over time, and the arrivals it makes. Pure.

A trace is written as knots `t:rps`, between which the rate is linear: "0:0 5:30 35:60". Arrivals
are found by turning the area under the rate around: a gap of 1 is one expected request, so gaps
of 1 give even arrivals, and exponential gaps of mean 1 give a Poisson process of that rate.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterable, Iterator


class TraceError(Exception):
    """A text that is no trace; its text says which knot is wrong, and how."""


@dataclasses.dataclass(frozen=True, slots=True)
class Knot:
    """The rate in requests per second at one moment, in seconds from the trace's start."""

    at_s: float
    rate_rps: float


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """Knots in the order of time; two may share a moment, which is a jump."""

    knots: tuple[Knot, ...]

    def __post_init__(self) -> None:
        """Refuse what is no course of time."""
        if len(self.knots) < 2:
            raise TraceError("a trace needs two knots `t:rps` or more")
        for knot in self.knots:
            if not (0 <= knot.at_s < math.inf and 0 <= knot.rate_rps < math.inf):
                raise TraceError(f"{knot.at_s:g}:{knot.rate_rps:g}: neither may be below 0")
        for before, after in itertools.pairwise(self.knots):
            if after.at_s < before.at_s:
                raise TraceError(f"{after.at_s:g}:{after.rate_rps:g} comes after {before.at_s:g} s")

    @classmethod
    def parse(cls, text: str) -> "Trace":
        """Return the trace that `text` describes; raises TraceError where it describes none."""
        return cls(tuple(_knot(word) for word in text.split()))

    @property
    def seconds(self) -> float:
        """When the trace ends."""
        return self.knots[-1].at_s

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at one moment: after a jump, where one is; 0 outside the trace."""
        for before, after in reversed(tuple(itertools.pairwise(self.knots))):
            if before.at_s <= at_s < after.at_s:
                part = (at_s - before.at_s) / (after.at_s - before.at_s)
                return before.rate_rps + part * (after.rate_rps - before.rate_rps)
        return 0.0

    def arrivals(self, gaps: Iterable[float]) -> Iterator[float]:
        """Yield the moments of the arrivals, one `gap` of expected requests apart."""
        due = iter(itertools.accumulate(gaps))
        wanted = next(due, math.inf)
        offered = 0.0
        for before, after in itertools.pairwise(self.knots):
            seconds = after.at_s - before.at_s
            area = seconds * (before.rate_rps + after.rate_rps) / 2
            while wanted <= offered + area:
                yield before.at_s + _time_of(wanted - offered, before, after)
                wanted = next(due, math.inf)
            offered += area


def even() -> Iterator[float]:
    """Yield the gaps of arrivals that are as even as the rate."""
    return itertools.repeat(1.0)


def poisson(seed: int) -> Iterator[float]:
    """Yield the gaps of a Poisson process, the same ones for a seed."""
    source = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    while True:
        yield source.expovariate(1.0)


def _knot(word: str) -> Knot:
    at_s, _, rate_rps = word.partition(":")
    try:
        return Knot(float(at_s), float(rate_rps))
    except ValueError as error:
        raise TraceError(f"{word!r} is not `t:rps`") from error


def _time_of(area: float, before: Knot, after: Knot) -> float:
    """Return how long after `before` so much area lies under the rate.

    The positive root of slope/2 t^2 + rate t = area, in the form that also holds without slope.
    """
    slope = (after.rate_rps - before.rate_rps) / (after.at_s - before.at_s)
    root = math.sqrt(max(before.rate_rps**2 + 2 * slope * area, 0.0))
    return min(2 * area / (before.rate_rps + root), after.at_s - before.at_s)
