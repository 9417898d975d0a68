"""The default policy: the cheapest mix of at most two shapes that serves a rate, exactly.

First working form: every count of every pair of shapes is tried.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

from .values import Option, Shape

_EPSILON = 1e-9


def counts(
    options: Sequence[Option], rate_rps: float, running: Mapping[Shape, int]
) -> Counter[Shape]:
    """Return the counts of least cost, of those the ones with the fewest replicas to start."""
    if rate_rps <= _EPSILON:
        return Counter()
    mixes = (
        mix for pair in combinations_with_replacement(options, 2) for mix in _mixes(*pair, rate_rps)
    )
    costs = {option.shape: option.cost for option in options}
    return +min(mixes, key=lambda mix: _worth(mix, costs, running))


def _mixes(first: Option, second: Option, rate_rps: float) -> list[Counter[Shape]]:
    found: list[Counter[Shape]] = []
    for count in range(math.ceil(rate_rps / first.throughput_rps - _EPSILON) + 1):
        left_rps = max(0.0, rate_rps - count * first.throughput_rps)
        rest = math.ceil(left_rps / second.throughput_rps - _EPSILON)
        mix = Counter({first.shape: count})
        mix[second.shape] += rest
        found.append(mix)
    return found


def _worth(
    mix: Counter[Shape], costs: Mapping[Shape, float], running: Mapping[Shape, int]
) -> tuple[float, int, int]:
    cost = math.fsum(costs[shape] * count for shape, count in mix.items())
    starts = sum(max(0, count - running.get(shape, 0)) for shape, count in mix.items())
    return (round(cost, 9), starts, mix.total())
