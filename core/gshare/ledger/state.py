"""The state of one GPU without names, shared by all GPUs that are in it, and its verdicts.

A thousand idle GPUs of one model are one state: what is worked out for one holds for all. A state
and its verdicts go when the last GPU has left it.
"""

from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from gshare import packing
from gshare.layout import Verdicts
from gshare.packing import Edges
from gshare.placement import Gpu, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE, Size

from .values import RefusalKind

Shape = tuple[Size, int | None]
"""What verdicts depend on of a request: its size and the memory it names."""

Key = tuple[int, int, bool, RefusalKind | None, tuple[Edges, ...], tuple[Size, ...], int]


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a GPU takes a shape.

    `obstacle` keeps it off; else `short_side` is what would be left beside it; both are None
    where only a new layout could hold it.
    """

    obstacle: RefusalKind | None = None
    short_side: int | None = None

    @property
    def is_stuck(self) -> bool:
        """Tell whether a new layout could make room."""
        return self.obstacle is None and self.short_side is None


class GpuState:
    """One GPU's health, memory, clients, free rectangles and sizes, and what they answer."""

    __slots__ = (
        "__weakref__",
        "_layouts",
        "_openings",
        "_shut",
        "clients_free",
        "gpu",
        "memory_free_bytes",
        "sizes",
        "space",
        "used_area",
    )

    def __init__(self, snapshot: Snapshot, shut: RefusalKind | None) -> None:
        self.gpu: Final = snapshot.gpu
        self.space: Final = snapshot.layout.space
        self.sizes: Final = tuple(sorted(snapshot.layout.sizes))
        self.memory_free_bytes: Final = snapshot.memory_free_bytes
        self.clients_free: Final = snapshot.clients_free
        self.used_area: Final = snapshot.layout.used_area
        self._shut = shut
        self._openings: dict[Shape, Opening] = {}
        self._layouts: dict[Size, bool] = {}

    def opening(self, request: Request) -> Opening:
        """Return whether the GPU takes `request` as it lies, or what keeps it off."""
        shape = (request.size, request.memory_bytes)
        opening = self._openings.get(shape)
        if opening is None:
            opening = self._openings[shape] = self._opening(request)
        return opening

    def holds(self, size: Size, verdicts: Verdicts, *, as_it_lies: bool) -> bool:
        """Tell whether a layout of all sizes and `size` is found from the sizes alone.

        Without that, the node, or this ledger after a restart, might not find the layout again.
        What fits as the GPU lies has one for certain, so the search for it may take longer.
        """
        known = self._layouts.get(size)
        if known is None:
            search = verdicts.find_longer if as_it_lies else verdicts.find
            known = self._layouts[size] = search(sorted((*self.sizes, size))) is not None
        return known

    def _opening(self, request: Request) -> Opening:
        obstacle = self._obstacle(request)
        if obstacle is not None:
            return Opening(obstacle)
        left = packing.short_side_left(self.space, request.size)
        if left is None and self.used_area + request.size.area > GPU_RECTANGLE.area:
            return Opening(RefusalKind.FULL)
        return Opening(None, left)

    def _obstacle(self, request: Request) -> RefusalKind | None:
        if self._shut is not None:
            return self._shut
        if not self.gpu.is_healthy:
            return RefusalKind.UNHEALTHY
        if self.clients_free <= 0:
            return RefusalKind.CLIENTS
        if request.memory_on(self.gpu) > self.memory_free_bytes:
            return RefusalKind.MEMORY
        return None


class States:
    """Every state that some GPU is in, so that equal GPUs share one."""

    def __init__(self) -> None:
        self._by_key: WeakValueDictionary[Key, GpuState] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many different states there are."""
        return len(self._by_key)

    def of(self, snapshot: Snapshot, shut: RefusalKind | None = None) -> GpuState:
        """Return the state of `snapshot`'s GPU; `shut` says why it takes nothing new, if so."""
        key = _key(snapshot, shut)
        state = self._by_key.get(key)
        if state is None:
            state = self._by_key[key] = GpuState(snapshot, shut)
        return state


def _key(snapshot: Snapshot, shut: RefusalKind | None) -> Key:
    gpu: Gpu = snapshot.gpu
    return (
        gpu.memory_bytes,
        snapshot.clients_free,
        gpu.is_healthy,
        shut,
        snapshot.layout.space.free_edges,
        tuple(sorted(snapshot.layout.sizes)),
        snapshot.memory_free_bytes,
    )
