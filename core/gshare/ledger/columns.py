"""What is known of all GPUs of a cluster, as numpy columns: one place a GPU, one a node.

Every array of GPUs is (planes, nodes): plane p has the p-th GPU of each node, so that what is best
on a node is a maximum over planes, and a verdict for one size on all GPUs is the comparison of one
row, `widest[height] >= width` (PACKING.md, section 3). 202 bytes a GPU are its profile, both ways.
Columns are as narrow as their values allow, since a verdict costs what it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare import models
from gshare.rectangles import GPU_SIDE

from .state import GpuState
from .values import NEAREST_FIRST, RefusalKind

ABSENT: Final = 255
"""Code of an obstacle: there is no such GPU. 0 is none; NEAREST_FIRST counts from 1."""
CODES: Final = {kind: code for code, kind in enumerate(NEAREST_FIRST, 1)}
MOST_BYTES: Final = 2**62
"""Memory beyond this counts as this, so that it stays within 64 bits."""
_MOST_AREA: Final = 2**22 - 1
_FIRST_NODES: Final = 64
_GROWTH: Final = 1.25


@dataclass(slots=True)
class Columns:
    """The arrays. The last axis is nodes; `widest` and `highest` have one row a percent first."""

    widest: NDArray[np.uint8]
    highest: NDArray[np.uint8]
    obstacle: NDArray[np.uint8]
    used: NDArray[np.int16]
    memory: NDArray[np.int64]
    memory_free: NDArray[np.int64]
    store: NDArray[np.int64]
    has_models: NDArray[np.bool_]
    share_area: NDArray[np.int32]
    state: NDArray[np.int64]
    sm_free: NDArray[np.int64]
    quota_free: NDArray[np.int64]
    node_used: NDArray[np.int64]
    is_offering: NDArray[np.bool_]

    @classmethod
    def empty(cls, planes: int = 1, nodes: int = _FIRST_NODES) -> "Columns":
        """Return columns without a GPU."""
        gpus, rows = (planes, nodes), (GPU_SIDE + 1, planes, nodes)
        return cls(
            np.zeros(rows, np.uint8),
            np.zeros(rows, np.uint8),
            np.full(gpus, ABSENT, np.uint8),
            np.zeros(gpus, np.int16),
            np.zeros(gpus, np.int64),
            np.zeros(gpus, np.int64),
            np.zeros(gpus, np.int64),
            np.zeros(gpus, np.bool_),
            np.zeros(gpus, np.int32),
            np.zeros(gpus, np.int64),
            np.zeros(nodes, np.int64),
            np.zeros(nodes, np.int64),
            np.zeros(nodes, np.int64),
            np.zeros(nodes, np.bool_),
        )

    @property
    def planes(self) -> int:
        """Return how many GPUs a node may have."""
        return int(self.obstacle.shape[0])

    def with_room(self, planes: int, nodes: int) -> "Columns":
        """Return columns with the same in them and room for so many GPUs a node and nodes."""
        had_planes, had_nodes = self.obstacle.shape
        if planes <= had_planes and nodes <= had_nodes:
            return self
        enough = had_nodes if nodes <= had_nodes else max(nodes, int(had_nodes * _GROWTH))
        larger = Columns.empty(max(planes, had_planes), enough)
        for each in fields(self):
            before, after = getattr(self, each.name), getattr(larger, each.name)
            after[tuple(slice(length) for length in before.shape)] = before
        return larger

    def put_gpu(self, plane: int, node: int, state: GpuState) -> None:
        """Write what decides about one GPU."""
        at = (plane, node)
        self.widest[:, plane, node] = np.frombuffer(state.profile, np.uint8)
        self.highest[:, plane, node] = np.frombuffer(state.highest, np.uint8)
        self.obstacle[at] = 0 if state.obstacle is None else CODES[state.obstacle]
        self.used[at] = state.used_area
        self.memory[at] = min(state.memory_bytes, models.MOST_BYTES)
        self.store[at] = state.store_bytes
        self.has_models[at] = state.has_models
        self.memory_free[at] = max(-MOST_BYTES, min(state.memory_free_bytes, MOST_BYTES))
        self.share_area[at] = state.share_area
        self.state[at] = state.number

    def drop_gpus(self, node: int, kept: int) -> None:
        """Take away all GPUs of a node but the first `kept`."""
        self.obstacle[kept:, node] = ABSENT
        self.used[kept:, node] = 0

    def put_node(
        self, node: int, units_free: Sequence[int], used_area: int, *, offers: bool
    ) -> None:
        """Write a node's own sums; more area than 419 full GPUs counts as that."""
        self.sm_free[node], self.quota_free[node] = units_free
        self.node_used[node] = min(used_area, _MOST_AREA)
        self.is_offering[node] = offers


def kind_of(code: int) -> RefusalKind:
    """Return the refusal that an obstacle's code stands for."""
    return NEAREST_FIRST[code - 1]
