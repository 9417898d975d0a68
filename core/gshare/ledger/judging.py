"""One request held against columns of GPUs: which take it, which perhaps, and why others do not."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare.models import MOST_BYTES, ModelShare, whole_granules
from gshare.placement import SMALLEST_DEFAULT_MEMORY_BYTES, Request
from gshare.policies import AFFINITY, Preference
from gshare.rectangles import GPU_RECTANGLE, Size

from .columns import ABSENT, CODES, kind_of
from .index import Index
from .values import RefusalKind

Cut = slice | NDArray[np.intp]
"""Which nodes."""
Bools = NDArray[np.bool_]
_Ints = NDArray[np.int64]
_NO_GPU: Final = ABSENT - 1
_UNITS: Final = ABSENT - 2
_KINDS: Final = {
    **{code: kind_of(code) for code in CODES.values()},
    _NO_GPU: RefusalKind.NO_GPU,
    _UNITS: RefusalKind.UNITS,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides; the same for all replicas of a function."""

    size: Size
    memory_bytes: int | None
    preference: Preference
    model: ModelShare | None = None

    @classmethod
    def by(cls, request: Request, preference: Preference) -> "Asked":
        """Return what `request` asks; only `affinity` prefers by the model."""
        if preference.model and preference.policy != AFFINITY:
            preference = Preference(preference.policy)
        return cls(request.size, request.memory_bytes, preference, request.model)


class Judged:
    """The verdicts on the GPUs of some nodes, by plane and place.

    `fits` tells where the request has room as the GPU lies, `room` where it has the area and only
    a new layout can make room; `short` is the short side that is left where it fits.
    """

    def __init__(self, index: Index, asked: Asked, cut: Cut) -> None:
        columns, size = index.columns, asked.size
        widths = columns.widest[size.height][:, cut]
        heights = columns.highest[size.width][:, cut]
        self.used = columns.used[:, cut]
        self._obstacle = columns.obstacle[:, cut]
        self._has_memory = _has_memory(index, asked, cut)
        self._has_units = columns.sm_free[cut] >= size.height
        self._has_units &= columns.quota_free[cut] >= size.width
        self._is_offering = columns.is_offering[cut]
        able = (self._obstacle == 0) & self._has_memory
        able &= self._is_offering & self._has_units
        has_width = widths >= size.width
        self.fits: Bools = able & has_width
        able &= ~has_width
        self.room: Bools = able & (self.used <= GPU_RECTANGLE.area - size.area)
        self.short = np.minimum(widths - np.uint8(size.width), heights - np.uint8(size.height))

    def refusals(self, has_option: Bools) -> list[RefusalKind]:
        """Return by place why there is no GPU; FULL where there was an option and no layout.

        One more at the end, for nodes that are not known.
        """
        other = np.where(self._has_memory, CODES[RefusalKind.FULL], CODES[RefusalKind.MEMORY])
        nearest = np.where(self._obstacle, self._obstacle, other).min(axis=0)
        codes = np.where(self._has_units, nearest, _UNITS)
        codes = np.where(self._is_offering, codes, _NO_GPU)
        codes = np.where(has_option, CODES[RefusalKind.FULL], codes)
        return [*map(_KINDS.__getitem__, codes.tolist()), RefusalKind.NO_GPU]


def _has_memory(index: Index, asked: Asked, cut: Cut) -> Bools:
    columns = index.columns
    if asked.model is not None:
        return columns.memory_free[:, cut] >= _memory_asked(index, asked, asked.model, cut)
    if asked.memory_bytes is None:
        return columns.share_area[:, cut] >= asked.size.area
    return columns.memory_free[:, cut] >= asked.memory_bytes


def _memory_asked(index: Index, asked: Asked, model: ModelShare, cut: Cut) -> _Ints:
    """Return what `Snapshot.memory_asked` says of each GPU, for a pod that announces `model`."""
    columns, there = index.columns, index.model(model.name)
    store = columns.store[:, cut]
    has_store = store >= 0
    size = model.size_bytes or 0
    granules = whole_granules(size)
    counts = there.resident[:, cut] if model.size_bytes is None else granules
    first = np.where(columns.has_models[:, cut], 0, store)
    shared = np.maximum(counts - there.charged[:, cut], 0) + first
    if asked.memory_bytes is not None:
        own: _Ints | int = min(asked.memory_bytes, MOST_BYTES)
    else:
        left = columns.memory[:, cut] - np.where(has_store, granules + store, size)
        share = np.maximum(left, 0) * asked.size.area // GPU_RECTANGLE.area
        own = np.maximum(share, SMALLEST_DEFAULT_MEMORY_BYTES)
    return own + np.where(has_store, shared, size)
