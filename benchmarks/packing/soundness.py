"""B7: every admitted set passes the exact test, and the arbiter delivers what was admitted.

A sample of the timetables runs on the token daemon's arbiter in virtual time, every function
saturated. What nobody can keep is small and known: a change of holder costs a wake-up and a
detection (44 us), and a slot ends with the kernels that are under way. A function has missed its
quota if it gets less than `MISSED_PERCENT` of it although kernels are short (`SHORT_KERNEL_NS`).
Kernels of 1 ms are run too: there a slice of few percents is shorter than what is launched ahead.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import timetables
from tests.support.arbiter import MS, US

from gshare.exact import Oracle
from gshare.modes import RECT, Timetable
from gshare.rectangles import Size

from .fleet import Set
from .found import Found, Row

MISSED_PERCENT: Final = 99.0
SHORT_KERNEL_NS: Final = 100 * US
KERNELS_NS: Final = (SHORT_KERNEL_NS, MS)
DEPTH: Final = 2
WINDOWS: Final = 200
"""Long enough that the window in which a reading begins or ends counts half a percent at most."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Timetables of one mode that run with kernels of one length."""

    mode: str
    kernel_ns: int
    timetables: tuple[Timetable, ...]


def sampled(found: Iterable[Timetable], count: int) -> tuple[Timetable, ...]:
    """Return so many different timetables of those found, the same ones each time."""
    different = sorted(set(found), key=lambda each: (each.keys, each.sizes, each.pieces))
    draw = random.Random(0)  # noqa: S311 (no secret)
    return tuple(draw.sample(different, min(count, len(different))))


def refused_by_exact_test(way: str, sets: Iterable[Set]) -> Found:
    """Count the sets that no timetable holds."""
    oracle = Oracle()
    every = list(sets)
    infeasible = sum(not oracle.is_feasible(each) for each in every)
    row: Row = {"part": "B7", "way": way, "sets": len(every), "infeasible_sets": infeasible}
    return Found([row])


def delivered(library: Path, sample: Sample) -> Found:
    """Run a sample on the arbiter, and count the sets in which somebody missed its quota."""
    least = [least_share(library, each, sample.kernel_ns) for each in sample.timetables]
    row: Row = {
        "part": "B7",
        "way": sample.mode,
        "kernel_us": sample.kernel_ns // US,
        "depth": DEPTH,
        "sets_run": len(least),
        "sets_that_missed": sum(share < MISSED_PERCENT for share in least),
        "least_percent_of_quota": round(min(least), 2),
        "least_percent_p1": round(sorted(least)[len(least) // 100], 2),
    }
    return Found([row])


def alone(library: Path, kernel_ns: int) -> Found:
    """Run the baseline: two functions that take turns, each with the whole GPU half of the time."""
    halves = RECT.empty.beside("one", Size(50, 100))
    both = halves and halves.beside("other", Size(50, 100))
    assert both is not None  # noqa: S101 (two halves)
    found = delivered(library, Sample("two halves of the time", kernel_ns, (both,)))
    found.rows[0]["is_baseline"] = True
    return found


def least_share(library: Path, timetable: Timetable, kernel_ns: int) -> float:
    """Return the least that any function got, in percent of its quota."""
    got = timetables.delivered(library, timetable, kernel_ns, DEPTH, windows=WINDOWS)
    return min(each.share for each in got)
