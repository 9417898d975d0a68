"""Chooses which shapes of a function get a Deployment: the few that serve a range of load cheapest.

Every count of every shape is tried offline, at rates spread over the range; two shapes, one for
the bulk and one for the rest, come within 2 % of what all shapes together would cost (one alone
within 12 %), so two is the usual number.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from gshare import scaling
from gshare.scaling import Option

USUAL: Final = 2
_RATES: Final = 16
_EPSILON: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Load:
    """Between which rates a function is used, in requests per second, headroom not included."""

    least_rps: float
    most_rps: float

    def __post_init__(self) -> None:
        """Refuse rates that are none or in the wrong order, with ValueError."""
        if not 0 <= self.least_rps <= self.most_rps < math.inf or not self.most_rps:
            raise ValueError("must be rates from low to high, the higher above 0, such as 10:100")

    def planned_rps(self, headroom: float) -> list[float]:
        """Return the rates above 0 to plan for, spread evenly over the range."""
        step = (self.most_rps - self.least_rps) / (_RATES - 1)
        spread = {self.least_rps + step * number for number in range(_RATES)}
        return sorted(rate * headroom for rate in spread if rate > 0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The shapes, and the GPUs they cost on average over the range, beside what all would cost.

    Without costs where the user chose them.
    """

    options: tuple[Option, ...]
    cost: float | None = None
    cost_of_all: float | None = None


def choose(
    options: Sequence[Option], rates_rps: Sequence[float], policy: str, most: int = USUAL
) -> Chosen:
    """Return at most `most` of `options`; fewer where more gain nothing."""
    worth_it = _undominated(options)
    best: tuple[float, tuple[Option, ...]] | None = None
    for count in range(1, most + 1):
        for subset in combinations(worth_it, count):
            cost = _mean_cost(subset, rates_rps, policy)
            if best is None or cost < best[0] - _EPSILON:
                best = (cost, subset)
    if best is None:
        raise ValueError("there is no option to choose from")
    return Chosen(best[1], best[0], _mean_cost(worth_it, rates_rps, policy))


def _mean_cost(options: Sequence[Option], rates_rps: Sequence[float], policy: str) -> float:
    costs = (scaling.plan(policy, options, rate).cost for rate in rates_rps)
    return math.fsum(costs) / len(rates_rps)


def _undominated(options: Iterable[Option]) -> list[Option]:
    """Return the options of which no other serves as much for as little; one of equals."""
    kept: list[Option] = []
    for option in sorted(options, key=lambda each: (each.cost, -each.throughput_rps, each.shape)):
        if not kept or option.throughput_rps > kept[-1].throughput_rps:
            kept.append(option)
    return kept
