"""What a pod would add to the memory of each GPU in use, its model's weights counted once a GPU.

`Snapshot.memory_asked` for all GPUs at once, as numpy columns with one place a GPU. Models change
places as pods move, so a model's columns are made when a pod first asks for it, and kept up.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare.models import MOST_BYTES, ModelShare, whole_granules
from gshare.placement import SMALLEST_DEFAULT_MEMORY_BYTES, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE

_NO_STORE: Final = -1
_Ints = NDArray[np.int64]


class Weights:
    """The models on the GPUs of `snapshots`."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        gpus = [snapshot.gpu for snapshot in snapshots]
        stores = [_NO_STORE if gpu.store_bytes is None else gpu.store_bytes for gpu in gpus]
        self._memory = np.array([min(gpu.memory_bytes, MOST_BYTES) for gpu in gpus], np.int64)
        self._store = np.array(stores, np.int64)
        self._has_models = np.zeros(len(gpus), np.bool_)
        self._here: list[dict[str, tuple[int, int]]] = [{} for _ in gpus]
        """By place and model: what the GPU is charged for, and what is there."""
        self._places: dict[str, set[int]] = {}
        self._columns: dict[str, tuple[_Ints, _Ints]] = {}
        for place, snapshot in enumerate(snapshots):
            self.write(place, snapshot)

    def write(self, place: int, snapshot: Snapshot) -> None:
        """Take over what one GPU holds by now."""
        before, charged, resident = self._here[place], snapshot.weights, snapshot.resident
        self._has_models[place] = bool(snapshot.shares)
        now = {
            name: (charged.get(name, 0), whole_granules(resident.get(name, 0)))
            for name in {*charged, *resident}
        }
        if now == before:
            return
        self._here[place] = now
        for name in {*before, *now}:
            self._move(name, place, now.get(name))

    def _move(self, name: str, place: int, amounts: tuple[int, int] | None) -> None:
        """Write what of a model is at one place; None where it is gone."""
        places = self._places.setdefault(name, set())
        if amounts is None:
            places.discard(place)
        else:
            places.add(place)
        if name in self._columns:
            charged, resident = self._columns[name]
            charged[place], resident[place] = amounts or (0, 0)

    def asked(self, request: Request) -> _Ints | int:
        """Return what `Snapshot.memory_asked` says of all GPUs."""
        model = request.model
        if model is None:
            return self._own(request, 0)
        has_store = self._store >= 0
        size = model.size_bytes or 0
        granules = whole_granules(size)
        own = self._own(request, np.where(has_store, granules + self._store, size))
        charged, resident = self._of(model)
        counts = resident if model.size_bytes is None else granules
        shared = np.maximum(counts - charged, 0) + np.where(self._has_models, 0, self._store)
        asked: _Ints = own + np.where(has_store, shared, size)
        return asked

    def _own(self, request: Request, beside: _Ints | int) -> _Ints | int:
        """Return a pod's own memory: what it says, or its share of what is left `beside` it."""
        if request.memory_bytes is not None:
            return min(request.memory_bytes, MOST_BYTES)
        left = np.maximum(self._memory - beside, 0)
        share: _Ints = left * request.size.area // GPU_RECTANGLE.area
        return share.clip(SMALLEST_DEFAULT_MEMORY_BYTES)

    def _of(self, model: ModelShare) -> tuple[_Ints, _Ints]:
        """Return what each GPU is charged for a model, and what is there of it."""
        found = self._columns.get(model.name)
        if found is None:
            found = np.zeros(len(self._here), np.int64), np.zeros(len(self._here), np.int64)
            for place in self._places.get(model.name, ()):
                found[0][place], found[1][place] = self._here[place][model.name]
            self._columns[model.name] = found
        return found
