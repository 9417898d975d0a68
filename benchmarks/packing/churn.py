"""B4: functions that come and go at a steady load: who is turned away, and how full GPUs are.

Arrivals are a Poisson process and lifetimes log-normal, both in seconds of the stream. A function
that finds no room is turned away for good. The first arrivals, while the GPUs fill, do not count.
"""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gshare.rectangles import GPU_RECTANGLE, Size

from .fleet import Fleet, Laid, opened
from .found import Found
from .mixes import Mix, stream
from .ways import OURS, WAYS

MEDIAN_S: Final = 485.0
"""The median lifetime of the functions in Alibaba's trace that share a GPU."""
SIGMA: Final = 1.0
"""Of the lifetimes' logarithms; the trace's own, 2.0, takes days to become steady."""
_WARM_UP_LIFETIMES: Final = 4
_SNAPSHOT_EVERY: Final = 500


@dataclass(frozen=True, slots=True)
class Load:
    """So many arrivals offered to so many GPUs, at a share of their area."""

    gpus: int
    arrivals: int
    offered: float = 0.85


@dataclass(slots=True)
class Tally:
    """What happened after the GPUs had filled."""

    arrived: int = 0
    refused: int = 0
    arrived_area: int = 0
    refused_area: int = 0
    used_area_s: float = 0.0
    counted_s: float = 0.0
    ends: list[tuple[float, str, int]] = field(default_factory=list)


def measured(way: str, mix_name: str, mix: Mix, load: Load, streams: int) -> Found:
    """Run so many streams, and count over all of them."""
    found, total = Found(), Tally()
    for seed in range(streams):
        _run(way, mix, load, seed, (found, total))
    found.rows.append(
        {
            "part": "B4",
            "way": way,
            "mix": mix_name,
            "gpus": load.gpus,
            "offered": load.offered,
            "arrivals": total.arrived,
            "refused_percent": round(100 * total.refused / total.arrived, 3),
            "refused_area_percent": round(100 * total.refused_area / total.arrived_area, 3),
            "used_percent": round(
                100 * total.used_area_s / total.counted_s / (load.gpus * GPU_RECTANGLE.area), 2
            ),
        }
    )
    return found


def _run(way: str, mix: Mix, load: Load, seed: int, into: tuple[Found, Tally]) -> None:
    found, tally = into
    fleet = opened(WAYS[way](), load.gpus)
    tally.ends, area, before = [], 0, 0.0
    warm_up_s = _WARM_UP_LIFETIMES * _mean_lifetime_s()
    for number, (now, size, lifetime) in enumerate(_arrivals(mix, load, seed)):
        for left_at, gone in _ended(tally, fleet, now):
            _count_use(tally, area, max(before, warm_up_s), left_at)
            area, before = area - gone, left_at
        _count_use(tally, area, max(before, warm_up_s), now)
        before = now
        is_taken = fleet.take(str(number), size)
        if is_taken:
            area += size.area
            heapq.heappush(tally.ends, (now + lifetime, str(number), size.area))
        if now > warm_up_s:
            _count(tally, size, is_taken=is_taken)
        if is_taken and isinstance(fleet, Laid) and way in OURS:
            found.note_sets(way, [fleet.gpus[fleet.where[str(number)]].sizes])
        if way in OURS and number % _SNAPSHOT_EVERY == _SNAPSHOT_EVERY - 1:
            found.note(way, fleet)


def _arrivals(mix: Mix, load: Load, seed: int) -> Iterator[tuple[float, Size, float]]:
    """Yield when each function comes, what it asks, and how long it stays: the same for all."""
    sizes = stream(mix, seed)
    sample = stream(mix, -1)
    mean_area = sum(next(sample).area for _ in range(20_000)) / 20_000
    mean_gap_s = _mean_lifetime_s() * mean_area / (load.offered * load.gpus * GPU_RECTANGLE.area)
    draw = random.Random(seed + 10_000)  # noqa: S311 (no secret)
    now = 0.0
    for _ in range(load.arrivals):
        now += draw.expovariate(1 / mean_gap_s)
        yield now, next(sizes), draw.lognormvariate(math.log(MEDIAN_S), SIGMA)


def _mean_lifetime_s() -> float:
    return MEDIAN_S * math.exp(SIGMA**2 / 2)


def _ended(tally: Tally, fleet: Fleet, now: float) -> Iterator[tuple[float, int]]:
    while tally.ends and tally.ends[0][0] <= now:
        left_at, key, area = heapq.heappop(tally.ends)
        fleet.leave(key)
        yield left_at, area


def _count(tally: Tally, size: Size, *, is_taken: bool) -> None:
    tally.arrived += 1
    tally.arrived_area += size.area
    if not is_taken:
        tally.refused += 1
        tally.refused_area += size.area


def _count_use(tally: Tally, area: int, since: float, until: float) -> None:
    if until > since:
        tally.used_area_s += area * (until - since)
        tally.counted_s += until - since
