"""A few GPUs that take functions one by one: the ways to place, each one line of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from gshare import packing
from gshare.layout import Layout
from gshare.modes import RECT, SLICED, Mode, Packer, Timetable
from gshare.placement import RELAYOUT_CANDIDATES
from gshare.rectangles import GPU_RECTANGLE, Size

Worth = Callable[[Timetable, Size], tuple[int, int]]
"""What a GPU on which a function fits is worth; the smallest wins, ties to the first."""


def best_short_side(timetable: Timetable, size: Size) -> tuple[int, int]:
    """Prefer the free rectangle that leaves least beside the function, then the most used GPU."""
    assert isinstance(timetable, Layout)  # noqa: S101 (only the way with rectangles asks)
    left = packing.short_side_left(timetable.space, size)
    assert left is not None  # noqa: S101 (it fits)
    return (left, -timetable.used_area)


def best_profile(timetable: Timetable, size: Size) -> tuple[int, int]:
    """Prefer the GPU whose profile leaves least above or beside the function."""
    profile = timetable.profile
    beside = profile[size.height] - size.width
    highest = max(height for height, width in enumerate(profile) if width >= size.width)
    return (min(beside, highest - size.height), -timetable.used_area)


def most_used(timetable: Timetable, _size: Size) -> tuple[int, int]:
    """Prefer the GPU that is fullest."""
    return (-timetable.used_area, 0)


@dataclass(frozen=True, slots=True)
class Way:
    """How a GPU is chosen: a mode, a worth, and how many fuller GPUs are laid out anew."""

    mode: Mode[Any]
    worth: Worth
    relayouts: int


WAYS: Final[Mapping[str, Way]] = MappingProxyType(
    {
        "maximal rectangles": Way(RECT, best_short_side, 0),
        "rect": Way(RECT, best_short_side, RELAYOUT_CANDIDATES),
        "sliced": Way(SLICED, best_profile, RELAYOUT_CANDIDATES),
        "rect, most used": Way(RECT, most_used, RELAYOUT_CANDIDATES),
        "sliced, most used": Way(SLICED, most_used, RELAYOUT_CANDIDATES),
    }
)


@dataclass(slots=True)
class Fleet:
    """GPUs, and the one way in which they take functions."""

    way: Way
    gpus: list[Timetable]
    packer: Packer[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing remembered."""
        self.packer = Packer(self.way.mode)

    @classmethod
    def of(cls, way: Way, count: int) -> "Fleet":
        """Return `count` empty GPUs."""
        return cls(way, [way.mode.empty] * count)

    @property
    def used_percent(self) -> float:
        """Return the area in use, in percent of all."""
        used = sum(gpu.used_area for gpu in self.gpus)
        return 100 * used / (GPU_RECTANGLE.area * len(self.gpus))

    def take(self, key: str, size: Size) -> bool:
        """Place one function more, if it finds room."""
        fitting = [index for index, gpu in enumerate(self.gpus) if gpu.fits(size)]
        best = min(fitting, key=lambda at: self.way.worth(self.gpus[at], size), default=None)
        for index in self._stuck(best, fitting, size):
            gpu = self.gpus[index]
            sizes = {**dict(zip(gpu.keys, gpu.sizes, strict=True)), key: size}
            arranged = self.packer.arrange(sizes)
            if arranged is not None:
                self.gpus[index] = arranged
                return True
        larger = None if best is None else self.gpus[best].beside(key, size)
        if best is None or larger is None:
            return False
        self.gpus[best] = larger
        return True

    def _stuck(self, best: int | None, fitting: Sequence[int], size: Size) -> list[int]:
        """Return the fullest GPUs without room as they lie, fuller than `best`."""
        fuller_than = 0 if best is None else self.gpus[best].used_area
        stuck = [
            index
            for index, gpu in enumerate(self.gpus)
            if index not in fitting
            and fuller_than < gpu.used_area <= GPU_RECTANGLE.area - size.area
        ]
        stuck.sort(key=lambda index: -self.gpus[index].used_area)
        return stuck[: self.way.relayouts]
