"""The paper's heuristic: fill the gap with the highest RPR, remove the lowest RPR first.

RPR is throughput / (SM x quota). The gap is the rate minus the throughput of what runs.
Up: `floor(gap / T)` replicas of the shape with the highest RPR, then for the rest one replica of
the smallest throughput above it. Down: replicas in ascending order of RPR are removed while each
one's throughput is at most the surplus. It looks at nothing else, memory in particular.

Worked example: 6x20 gives 13.5 req/s (RPR 1125), 12x40 gives 35 (729). For 100 req/s and nothing
running: 7 of 6x20, and for the 5.5 that are left the smallest above, one more 6x20.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from .values import Option, Shape

_ROUNDING: Final = 1e-12
_EPSILON: Final = 1e-9
"""By which part a rate may be missed: three times 0.1 serve 0.3."""


def counts(
    options: Sequence[Option],
    rate_rps: float,
    running: Mapping[Shape, int],
    start: float = 0.0,  # noqa: ARG001 (it never swaps, so it need not weigh starts)
) -> Counter[Shape]:
    """Return the counts that the heuristic wants, starting from what runs."""
    by_shape = {option.shape: option for option in options}
    found = Counter({shape: running[shape] for shape in running if shape in by_shape})
    capacity_rps = sum(by_shape[shape].throughput_rps * count for shape, count in found.items())
    gap_rps = rate_rps - capacity_rps
    slack_rps = _EPSILON * rate_rps + _ROUNDING * capacity_rps
    if gap_rps > slack_rps:
        _grow(found, options, gap_rps)
    else:
        _shrink(found, by_shape, slack_rps - gap_rps)
    return +found


def _grow(found: Counter[Shape], options: Sequence[Option], gap_rps: float) -> None:
    best = max(options, key=lambda option: (option.rpr, option.throughput_rps, option.shape))
    bulk = math.floor(gap_rps / best.throughput_rps * (1 + _EPSILON))
    rest_rps = gap_rps - bulk * best.throughput_rps
    found[best.shape] += bulk
    if rest_rps > _EPSILON * gap_rps:
        enough = [option for option in options if option.throughput_rps > rest_rps]
        last = min(enough, key=lambda option: (option.throughput_rps, option.shape.area))
        found[last.shape] += 1


def _shrink(found: Counter[Shape], by_shape: Mapping[Shape, Option], surplus_rps: float) -> None:
    for shape in sorted(found, key=lambda shape: (by_shape[shape].rpr, shape)):
        throughput_rps = by_shape[shape].throughput_rps
        while found[shape]:
            if throughput_rps > surplus_rps:
                return
            found[shape] -= 1
            surplus_rps -= throughput_rps
