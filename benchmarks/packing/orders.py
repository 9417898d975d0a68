"""B1: on how many GPUs the paper's eight functions end, in each order in which they can arrive."""

import itertools
from collections import Counter
from typing import Final

from gshare.rectangles import Size

from .fleet import filled
from .found import Found
from .ways import WAYS

PAPER: Final = (*[Size(40, 12)] * 4, *[Size(40, 24)] * 2, *[Size(60, 50)] * 2)
"""Four ResNets, two RNNTs and two BERTs: 98.4 percent of one GPU."""

WAYS_HERE: Final = tuple(name for name in WAYS if "kept" not in name and "keep" not in name)


def measured(way: str, every: int) -> Found:
    """Try `way` in one of `every` orders, all 420 with 1."""
    found = Found()
    used: Counter[int] = Counter()
    for order in sorted(set(itertools.permutations(PAPER)))[::every]:
        fleet = WAYS[way]()
        used[filled(fleet, order)] += 1
        found.note(way, fleet)
    found.rows.append(
        {
            "part": "B1",
            "way": way,
            "orders": used.total(),
            "orders_on_one_gpu": used[1],
            "orders_by_gpus": {str(gpus): count for gpus, count in sorted(used.items())},
        }
    )
    return found
