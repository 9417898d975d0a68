"""Which shapes are tried, and in which order. Pure.

`Grid` tries every shape. `Adaptive` tries five, and then, one by one, the shape at which the law
that the trials so far obey is least certain (`gshare.profile.surface`), until it is certain enough
everywhere. Its first five are the corners of the grid and its middle: they tell how the rate goes
along each side and whether the sides act on their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gshare import profile

At = tuple[int, int]
"""SM partition and quota, in percent."""
Rates = Mapping[At, float | None]
"""Throughput of the shapes that were tried, None where the trial failed."""

PAPER_SMS: Final = (6, 12, 24, 50, 60, 80, 100)
PAPER_QUOTAS: Final = (20, 40, 60, 80, 100)


class Design(Protocol):
    """A plan of trials that may depend on what they find."""

    @property
    def name(self) -> str:
        """Return what the command line calls it."""

    @property
    def most(self) -> int:
        """Return how many trials there are at most."""

    def next(self, tried: Rates) -> At | None:
        """Return the shape to try next, None when it is enough."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Every shape of a grid."""

    sms: Sequence[int] = PAPER_SMS
    quotas: Sequence[int] = PAPER_QUOTAS
    name: str = "paper"

    @property
    def shapes(self) -> list[At]:
        """Return the shapes in the order in which they are tried."""
        return [(sm, quota) for sm in self.sms for quota in self.quotas]

    @property
    def most(self) -> int:
        """Return how many shapes there are."""
        return len(self.shapes)

    def next(self, tried: Rates) -> At | None:
        """Return the first shape that was not tried yet."""
        return next((at for at in self.shapes if at not in tried), None)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Few shapes of a grid: those that tell most."""

    grid: Grid = Grid()
    least: int = 9
    """Below this many, nothing tells a lucky law from a good one."""
    most: int = 12
    error: float = 0.03
    """Relative standard error at which the law is certain enough."""
    name: str = "adaptive"

    def next(self, tried: Rates) -> At | None:
        """Return the shape that tells most, given what was found."""
        first = next((at for at in self._first if at not in tried), None)
        if first is not None:
            return first
        left = [at for at in self.grid.shapes if at not in tried]
        found = {at: rate for at, rate in tried.items() if rate is not None}
        if not left or not found or len(tried) >= self.most:
            return None
        errors = [told.error for told in profile.Surface.fit(found).at(left)]
        worst = max(range(len(left)), key=errors.__getitem__)
        is_enough = len(tried) >= self.least and errors[worst] <= self.error
        return None if is_enough else left[worst]

    @property
    def _first(self) -> tuple[At, ...]:
        sms, quotas = sorted(self.grid.sms), sorted(self.grid.quotas)
        middle = (sms[(len(sms) - 1) // 3], quotas[len(quotas) // 2])
        corners = [(sm, quota) for sm in (sms[-1], sms[0]) for quota in (quotas[-1], quotas[0])]
        return tuple(dict.fromkeys([*corners, middle]))
