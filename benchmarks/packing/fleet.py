"""GPUs that take functions one by one and give them back, as gshare packs them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gshare import modes
from gshare.modes import Mode, Packer, Timetable
from gshare.placement import RELAYOUT_CANDIDATES
from gshare.rectangles import GPU_RECTANGLE, Size

Set = tuple[Size, ...]
"""What stands on one GPU."""


class Fleet(Protocol):
    """A number of GPUs and one way to place functions on them."""

    def take(self, key: str, size: Size) -> bool:
        """Place one function more, and tell whether it found room."""

    def leave(self, key: str) -> None:
        """Take a function away."""

    def open(self) -> None:
        """Add an empty GPU."""

    @property
    def sets(self) -> list[Set]:
        """What stands on each GPU."""


@dataclass(slots=True)
class Laid:
    """GPUs with a timetable each, in one of gshare's modes.

    Best short-side fit over all GPUs, ties to the most used; before it `relayouts` of the fuller
    GPUs without room are laid out anew. `placement.choose` does the same for a machine's GPUs.
    """

    mode: Mode[Any]
    relayouts: int = RELAYOUT_CANDIDATES
    gpus: list[Timetable] = field(default_factory=list)
    profiles: list[bytes] = field(default_factory=list)
    where: dict[str, int] = field(default_factory=dict)
    packer: Packer = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing remembered."""
        self.packer = Packer(self.mode)

    def open(self) -> None:
        """Add an empty GPU."""
        self.gpus.append(self.mode.empty)
        self.profiles.append(self.mode.empty.profile)

    @property
    def sets(self) -> list[Set]:
        """What stands on each GPU."""
        return [gpu.sizes for gpu in self.gpus]

    def take(self, key: str, size: Size) -> bool:
        """Place one function more, and tell whether it found room."""
        best = self._best(size)
        for index in self._stuck(best, size):
            if self._put(index, key, self._anew(index, key, size)):
                return True
        if best is None:
            return False
        larger = self.gpus[best].beside(key, size) or self._anew(best, key, size)
        return self._put(best, key, larger)

    def leave(self, key: str) -> None:
        """Take a function away; the others keep their places."""
        index = self.where.pop(key)
        self._set(index, self.gpus[index].without(key))

    def _best(self, size: Size) -> int | None:
        best, least = None, (0, 0)
        for index, profile in enumerate(self.profiles):
            if profile[size.height] < size.width:
                continue
            left = modes.short_side_left(profile, size)
            assert left is not None  # noqa: S101 (it fits)
            worth = (left, -self.gpus[index].used_area)
            if best is None or worth < least:
                best, least = index, worth
        return best

    def _stuck(self, best: int | None, size: Size) -> list[int]:
        """Return the fullest GPUs without room as they lie, fuller than `best`."""
        fuller_than = 0 if best is None else self.gpus[best].used_area
        stuck = [
            (-gpu.used_area, index)
            for index, gpu in enumerate(self.gpus if self.relayouts else ())
            if self.profiles[index][size.height] < size.width
            and fuller_than < gpu.used_area <= GPU_RECTANGLE.area - size.area
        ]
        return [index for _, index in sorted(stuck)[: self.relayouts]]

    def _anew(self, index: int, key: str, size: Size) -> Timetable | None:
        if not self.relayouts:
            return None
        return self.packer.arrange(modes.sizes_of(self.gpus[index]) | {key: size})

    def _put(self, index: int, key: str, after: Timetable | None) -> bool:
        if after is None:
            return False
        self.where[key] = index
        self._set(index, after)
        return True

    def _set(self, index: int, after: Timetable) -> None:
        self.gpus[index] = after
        self.profiles[index] = after.profile


def filled(fleet: Fleet, sizes: Sequence[Size]) -> int:
    """Place all of `sizes`, opening a GPU where one finds no room; return how many are open."""
    opened = 0
    for number, size in enumerate(sizes):
        while not fleet.take(str(number), size):
            fleet.open()
            opened += 1
    return opened


def opened(fleet: Fleet, gpus: int) -> Fleet:
    """Return `fleet` with so many empty GPUs added."""
    for _ in range(gpus):
        fleet.open()
    return fleet


def rectangles_only() -> Laid:
    """Return plain maximal rectangles: what lies stays, its free list is exact, nothing is moved.

    The best rectangle of all GPUs by the profile, which packs as best short-side fit does.
    """
    return Laid(modes.RECT, relayouts=0)
