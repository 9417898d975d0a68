"""Tells exactly whether any timetable gives every function of a set its quota.

Idea. A *configuration* says how many functions of each type (equal sizes) run at one instant; its
SM partitions add up to at most 100. A timetable spends some share of the window in each. So a set
has a timetable if and only if the linear program "as little time as possible, each type with its
quota" needs at most the window. (If: play the configurations one after another; functions of one
type take turns, and none needs to run twice at once, since no configuration counts more of a type
than there are.) The program is solved by column generation; a new configuration is a bounded
knapsack over 100.

Exactness. The solver computes in floating point, so its word is not taken. A "no" is proven in
integers: weights (the solver's dual prices, rounded to whole numbers) so that no configuration
weighs more than `cap`, found by a knapsack in integers, while quotas x weights exceed 100 x `cap`.
Whoever has time for every quota would need more than the window. Where rounding leaves a proof
short, the answer is "yes": a set that lacks less than about 1e-6 of the window counts as feasible.

Use. An oracle for tests and benchmarks, and a last word off the hot path: milliseconds. It needs
the extra `exact` (HiGHS). Its times are fractions of a percent, so a "yes" is no timetable for the
token daemon, which counts whole percents; nothing is admitted by it.

Worked example. (60,50) (60,50) (80,50): at most two run at a time, so 200 of quota need 100 of
time: yes. Two of (60,60) exclude each other and need 120: no, by weights 1 and 1 with cap 1.

Sources: P. Gilmore and R. Gomory, "A Linear Programming Approach to the Cutting-Stock Problem"
(1961); HiGHS, Q. Huangfu and J. Hall, "Parallelizing the Dual Revised Simplex Method" (2018).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import highspy

from gshare.bounds import is_impossible_sliced
from gshare.rectangles import GPU_SIDE, Size

# Dual prices are multiplied by this before they are rounded to the whole weights of a proof.
WEIGHT_SCALE: Final = 10**9

# A configuration whose dual prices exceed 1 by no more than this is no improvement.
_GAIN: Final = 1e-9

Configuration = tuple[int, ...]
"""How many of each type run at once."""


@dataclass(slots=True)
class Oracle:
    """Answers by multiset of sizes, and keeps the `capacity` answers used most recently."""

    capacity: int = 65536
    _answers: OrderedDict[tuple[Size, ...], bool] = field(default_factory=OrderedDict)

    def is_feasible(self, sizes: Iterable[Size]) -> bool:
        """Answer as `is_feasible` does, from memory where it can."""
        key = tuple(sorted(sizes))
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        answer = self._answers[key] = is_feasible(key)
        if len(self._answers) > self.capacity:
            self._answers.popitem(last=False)
        return answer


def is_feasible(sizes: Iterable[Size]) -> bool:
    """Tell whether some timetable gives each of `sizes` its quota; "no" is proven in integers."""
    sizes = tuple(sizes)
    return not (is_impossible_sliced(sizes) or is_refuted(sizes, _prices(sizes)))


def least_time(sizes: Iterable[Size]) -> float:
    """Return how many percent of a window `sizes` need at least to have their quotas."""
    program = _Program(Counter(sizes))
    program.solve()
    return program.time


def is_refuted(sizes: Iterable[Size], weights: Sequence[int]) -> bool:
    """Tell whether `weights`, one for each type in sorted order, prove that `sizes` do not fit.

    Whole numbers only; wrong weights prove nothing, but can never refute what fits.
    """
    counts = sorted(Counter(sizes).items())
    cap = _heaviest(counts, weights)[0]
    total = sum(
        size.width * count * weight for (size, count), weight in zip(counts, weights, strict=True)
    )
    return total > GPU_SIDE * cap


def _prices(sizes: Iterable[Size]) -> list[int]:
    program = _Program(Counter(sizes))
    program.solve()
    return [max(0, round(price * WEIGHT_SCALE)) for price in program.prices]


class _Program:
    """The linear program of one set, with the configurations that are known so far."""

    def __init__(self, counts: Counter[Size]) -> None:
        self.counts = sorted(counts.items())
        self.prices: list[float] = []
        self.time = 0.0
        self._solver = highspy.Highs()
        self._solver.silent()
        infinite = highspy.kHighsInf
        for size, count in self.counts:
            self._solver.addRow(float(size.width * count), infinite, 0, [], [])

    def solve(self) -> None:
        """Add configurations until none makes the time shorter."""
        if not self.counts:
            return
        for index, (size, count) in enumerate(self.counts):
            alone = [0] * len(self.counts)
            alone[index] = min(count, GPU_SIDE // size.height)
            self._add(tuple(alone))
        while True:
            self._solver.run()
            self.prices = list(self._solver.getSolution().row_dual)
            self.time = self._solver.getInfo().objective_function_value
            weights = [max(0, round(price * WEIGHT_SCALE)) for price in self.prices]
            heaviest, configuration = _heaviest(self.counts, weights)
            if heaviest <= WEIGHT_SCALE * (1 + _GAIN) + len(weights):
                return
            self._add(configuration)

    def _add(self, configuration: Configuration) -> None:
        rows = [index for index, count in enumerate(configuration) if count]
        values = [float(configuration[index]) for index in rows]
        self._solver.addCol(1.0, 0.0, highspy.kHighsInf, len(rows), rows, values)


def _heaviest(
    counts: Sequence[tuple[Size, int]], weights: Sequence[int]
) -> tuple[int, Configuration]:
    """Return the most that one configuration weighs, and that configuration."""
    most = [0] * (GPU_SIDE + 1)
    takings: list[tuple[int, list[bool]]] = []
    for index, ((size, count), weight) in enumerate(zip(counts, weights, strict=True)):
        height = size.height
        for _ in range(min(count, GPU_SIDE // height) if weight else 0):
            lower = [most[0] - 1] * height + [each + weight for each in most[:-height]]
            takes = [new > old for new, old in zip(lower, most, strict=True)]
            takings.append((index, takes))
            most = list(map(max, lower, most))
    configuration = [0] * len(counts)
    room = GPU_SIDE
    for index, takes in reversed(takings):
        if takes[room]:
            configuration[index] += 1
            room -= counts[index][0].height
    return most[GPU_SIDE], tuple(configuration)
