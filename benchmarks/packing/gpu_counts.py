"""B3: how many GPUs arrivals open, beside the least that any timetable could do with."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator

from gshare import exact
from gshare.rectangles import GPU_SIDE, Size

from .fleet import filled
from .found import Found
from .mixes import Mix, stream
from .ways import WAYS

# A bound that exceeds a whole number of GPUs by less is rounded down: the solver's arithmetic.
_ROUNDING = 1e-6


def least_gpus(sizes: Iterable[Size]) -> int:
    """Return a number of GPUs below which no way to place `sizes` can give all their quotas.

    Gilmore and Gomory's bound over SM partitions: functions of one height are poured together, so
    the program has two types a height, and the window may be as long as it needs.
    """
    return math.ceil(exact.least_time(_poured(sizes)) / GPU_SIDE - _ROUNDING)


def measured(way: str, mix_name: str, mix: Mix, pods: int, streams: int) -> Found:
    """Place so many functions of each stream, opening a GPU where one finds no room."""
    found, opened, bounds = Found(), [], []
    for seed in range(streams):
        sizes = list(itertools.islice(stream(mix, seed), pods))
        fleet = WAYS[way]()
        opened.append(filled(fleet, sizes))
        bounds.append(least_gpus(sizes))
        found.note(way, fleet)
    found.rows.append(
        {
            "part": "B3",
            "way": way,
            "mix": mix_name,
            "pods": pods,
            "streams": streams,
            "gpus_mean": round(statistics.mean(opened), 2),
            "bound_mean": round(statistics.mean(bounds), 2),
            "ratio": round(sum(opened) / sum(bounds), 4),
        }
    )
    return found


def _poured(sizes: Iterable[Size]) -> Iterator[Size]:
    quotas: Counter[int] = Counter()
    for size in sizes:
        quotas[size.height] += size.width
    for height, quota in quotas.items():
        whole, rest = divmod(quota, GPU_SIDE)
        yield from [Size(GPU_SIDE, height)] * whole
        if rest:
            yield Size(rest, height)
