"""How others would place the same functions: each rival is a `fleet.Fleet`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import rectpack

from gshare import packing
from gshare.packing import Space
from gshare.rectangles import GPU_SIDE, Rectangle, Size

from .fleet import Set

PACKERS: Final[dict[str, type[Any]]] = {
    "maxrects": rectpack.MaxRectsBssf,
    "skyline": rectpack.SkylineBl,
    "guillotine": rectpack.GuillotineBssfSas,
}


@dataclass(slots=True)
class Additive:
    """GPUs that count one number: a side of each function, or its area; best fit.

    By SM this is what device plugins that share cores do (Aliyun gpushare, HAMi); by quota, time
    sharing (KubeShare). By area it admits what no timetable holds: the public FaST-GShare code.
    """

    amount: Callable[[Size], int]
    capacity: int = GPU_SIDE
    held: list[dict[str, Size]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)

    def open(self) -> None:
        """Add an empty GPU."""
        self.held.append({})
        self.free.append(self.capacity)

    @property
    def sets(self) -> list[Set]:
        """What stands on each GPU."""
        return [tuple(each.values()) for each in self.held]

    def take(self, key: str, size: Size) -> bool:
        """Place a function where it leaves least."""
        asked = self.amount(size)
        fitting = [index for index, room in enumerate(self.free) if room >= asked]
        if not fitting:
            return False
        best = min(fitting, key=lambda index: self.free[index])
        self.held[best][key] = size
        self.free[best] -= asked
        return True

    def leave(self, key: str) -> None:
        """Take a function away."""
        for index, each in enumerate(self.held):
            if key in each:
                self.free[index] += self.amount(each.pop(key))


@dataclass(slots=True)
class Kept:
    """Maximal rectangles whose freed rectangles are kept as they are, beside the free list.

    With `restructures` the free lists are built anew from what is placed when nothing fits: the
    paper's keep-restructure. It names the step only; this is our reading of it.
    """

    restructures: bool
    spaces: list[Space] = field(default_factory=list)
    where: dict[str, tuple[int, Rectangle]] = field(default_factory=dict)

    def open(self) -> None:
        """Add an empty GPU."""
        self.spaces.append(Space())

    @property
    def sets(self) -> list[Set]:
        """What stands on each GPU."""
        return [tuple(each.size for each in space.placed) for space in self.spaces]

    def take(self, key: str, size: Size) -> bool:
        """Place a function on the most used GPU that has a free rectangle for it."""
        if self._placed(key, size):
            return True
        if not self.restructures:
            return False
        self.spaces = [Space.holding(space.placed) for space in self.spaces]
        return self._placed(key, size)

    def leave(self, key: str) -> None:
        """Take a function away, and keep its rectangle as a free one."""
        index, rectangle = self.where.pop(key)
        space = self.spaces[index]
        placed = list(space.placed)
        placed.remove(rectangle)
        edges = (rectangle.x, rectangle.y, rectangle.right, rectangle.top)
        self.spaces[index] = replace(
            space,
            placed=tuple(placed),
            free_edges=tuple(sorted({*space.free_edges, edges})),
        )

    def _placed(self, key: str, size: Size) -> bool:
        fitting = [index for index, space in enumerate(self.spaces) if space.fits(size)]
        if not fitting:
            return False
        best = max(fitting, key=lambda index: self.spaces[index].used_area)
        place = packing.choose(self.spaces[best], size)
        assert place is not None  # noqa: S101 (it fits)
        self.spaces[best] = packing.place(self.spaces[best], place)
        self.where[key] = (best, place)
        return True


@dataclass(slots=True)
class Rectpack:
    """The library rectpack, online: the best bin by the packer's own fitness, no rotation."""

    algorithm: str
    sizes: dict[str, Size] = field(default_factory=dict)
    packer: Any = field(init=False)

    def __post_init__(self) -> None:
        """Start without bins."""
        self.packer = rectpack.newPacker(
            mode=rectpack.PackingMode.Online,
            bin_algo=rectpack.PackingBin.BBF,
            pack_algo=PACKERS[self.algorithm],
            rotation=False,
        )

    def open(self) -> None:
        """Add an empty GPU."""
        self.packer.add_bin(GPU_SIDE, GPU_SIDE)

    @property
    def sets(self) -> list[Set]:
        """What stands on each GPU that is in use."""
        return [tuple(self.sizes[each.rid] for each in used) for used in self.packer]

    def take(self, key: str, size: Size) -> bool:
        """Place one function more, and tell whether it found room."""
        if not self.packer.add_rect(size.width, size.height, key):
            return False
        self.sizes[key] = size
        return True

    def leave(self, key: str) -> None:
        """Refuse: the library takes nothing away."""
        raise NotImplementedError(f"rectpack cannot take {key} away")


def gpus_by_rectpack_offline(sizes: list[Size], algorithm: str) -> int:
    """Return how many GPUs rectpack uses for `sizes`, which it sorts by area."""
    packer = rectpack.newPacker(
        mode=rectpack.PackingMode.Offline,
        bin_algo=rectpack.PackingBin.BBF,
        pack_algo=PACKERS[algorithm],
        sort_algo=rectpack.SORT_AREA,
        rotation=False,
    )
    for number, size in enumerate(sizes):
        packer.add_rect(size.width, size.height, number)
    packer.add_bin(GPU_SIDE, GPU_SIDE, count=len(sizes))
    packer.pack()
    return len(packer)
