"""The state of one GPU without names, shared by all GPUs that are in it, and its verdicts.

A thousand idle GPUs of one model are one state: what is worked out for one holds for all. A state
and its verdicts go when the last GPU has left it.
"""

import itertools
from typing import Final
from weakref import WeakValueDictionary

from gshare.modes import Packer
from gshare.placement import SMALLEST_DEFAULT_MEMORY_BYTES, Gpu, Snapshot
from gshare.rectangles import GPU_RECTANGLE, GPU_SIDE, Size, by_sides

from .values import RefusalKind

Key = tuple[int, int, bool, RefusalKind | None, bytes, tuple[Size, ...], int, int, bool]
NO_STORE: Final = -1
"""What the store of a GPU without one takes."""


class GpuState:
    """One GPU's health, memory, clients, profile and sizes, and what they decide.

    `profile` is the widest quota at each height, `highest` the highest SM partition at each width;
    `obstacle` is what keeps every request off; `share_area` the largest area whose share of the
    memory is free, -1 where not even the smallest share is. `store_bytes` is what its model store
    takes, `has_models` tells whether the GPU is charged for that already.
    """

    __slots__ = (
        "__weakref__",
        "_layouts",
        "has_models",
        "highest",
        "memory_bytes",
        "memory_free_bytes",
        "number",
        "obstacle",
        "profile",
        "share_area",
        "sizes",
        "store_bytes",
        "used_area",
    )

    def __init__(self, number: int, snapshot: Snapshot, key: Key) -> None:
        _, _, _, shut, profile, sizes, _, store_bytes, has_models = key
        self.number: Final = number
        self.profile: Final = profile
        self.highest: Final = _highest(profile)
        self.sizes: Final = sizes
        self.memory_bytes: Final = snapshot.gpu.memory_bytes
        self.memory_free_bytes: Final = snapshot.memory_free_bytes
        self.store_bytes: Final = store_bytes
        self.has_models: Final = has_models
        self.used_area: Final = snapshot.layout.used_area
        self.obstacle: Final = shut or _obstacle(snapshot)
        self.share_area: Final = _share_area(snapshot.gpu, self.memory_free_bytes)
        self._layouts: dict[Size, bool] = {}

    def holds(self, size: Size, packer: Packer, *, as_it_lies: bool) -> bool:
        """Tell whether a layout of all sizes and `size` is found from the sizes alone.

        Without that, the node, or this ledger after a restart, might not find the layout again.
        What fits as the GPU lies has one for certain, so the search for it may take longer.
        """
        known = self._layouts.get(size)
        if known is None:
            known = packer.holds((*self.sizes, size), search_longer=as_it_lies)
            self._layouts[size] = known
        return known


class States:
    """Every state that some GPU is in, so that equal GPUs share one."""

    def __init__(self) -> None:
        self._by_key: WeakValueDictionary[Key, GpuState] = WeakValueDictionary()
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """Return how many different states there are."""
        return len(self._by_key)

    def of(self, snapshot: Snapshot, shut: RefusalKind | None = None) -> GpuState:
        """Return the state of `snapshot`'s GPU; `shut` says why it takes nothing new, if so."""
        key = _key(snapshot, shut)
        state = self._by_key.get(key)
        if state is None:
            state = self._by_key[key] = GpuState(next(self._numbers), snapshot, key)
        return state


def _key(snapshot: Snapshot, shut: RefusalKind | None) -> Key:
    gpu = snapshot.gpu
    return (
        gpu.memory_bytes,
        snapshot.clients_free,
        gpu.is_healthy,
        shut,
        snapshot.layout.profile,
        tuple(sorted(snapshot.layout.sizes, key=by_sides)),
        snapshot.memory_free_bytes,
        NO_STORE if gpu.store_bytes is None else gpu.store_bytes,
        bool(snapshot.shares),
    )


def _obstacle(snapshot: Snapshot) -> RefusalKind | None:
    if not snapshot.gpu.is_healthy:
        return RefusalKind.UNHEALTHY
    return RefusalKind.CLIENTS if snapshot.clients_free <= 0 else None


def _share_area(gpu: Gpu, free_bytes: int) -> int:
    """Return the largest area for which `Request.memory_on` asks no more than is free."""
    if free_bytes < SMALLEST_DEFAULT_MEMORY_BYTES:
        return -1
    whole = GPU_RECTANGLE.area
    return min(whole, ((free_bytes + 1) * whole - 1) // gpu.memory_bytes)


def _highest(profile: bytes) -> bytes:
    """Return for each width from 0 to 100 the greatest height at which `profile` is as wide."""
    highest = bytearray(GPU_SIDE + 1)
    height = GPU_SIDE
    for width in range(GPU_SIDE + 1):
        while height and profile[height] < width:
            height -= 1
        highest[width] = height
    return bytes(highest)
