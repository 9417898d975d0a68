"""The GPUs in use as the moves of a plan so far leave them, and which of them takes a pod.

Idea. A plan asks for thousands of pods, and of thousands of GPUs most are full. So what decides is
kept in numpy columns, one place a GPU, in the order of node and UUID: a pod is compared with all of
them at once, and Python looks only at those that may take it, fullest first.

A set of pods moves as a whole or not at all: `take` moves one, `settle` keeps what was taken since
the last time, `begin` undoes it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare import placement
from gshare.ledger import Ground
from gshare.models import ModelShare
from gshare.modes import Packer
from gshare.placement import Placement, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE, GPU_SIDE, Size

from .values import Tenant
from .weights import Weights

# On how many GPUs a new layout is searched for one pod.
RELAYOUTS: Final = 64
# Of how many different sets of functions a new layout is searched in one plan: one takes up to some
# milliseconds. Beyond that pods go where there is room as the GPUs lie.
SEARCHES: Final = 512
# Pods that may go to no more nodes than this are mostly bound to one, each to another.
_FEW: Final = 4

Key = tuple[str, str]
"""A node and the UUID of a GPU of it."""
_Shape = tuple[Size, int | None, ModelShare | None, frozenset[str] | None]
_Bools = NDArray[np.bool_]
_Ints = NDArray[np.int64]


class Rooms:
    """The GPUs of `grounds`, each node's units, and the set of moves in question."""

    def __init__(self, grounds: Sequence[Ground], packer: Packer) -> None:
        ordered = sorted(grounds, key=key_of)
        count = len(ordered)
        units = {ground.node: ground.units_free for ground in ordered}
        nodes = {name: number for number, name in enumerate(units)}
        self.received: set[Key] = set()
        self._packer = packer
        self._keys = [key_of(ground) for ground in ordered]
        self._places = {key: place for place, key in enumerate(self._keys)}
        self._nodes = nodes
        self._node_of = np.array([nodes[ground.node] for ground in ordered], np.intp)
        self._sm_free = np.array([sm for sm, _ in units.values()], np.int64)
        self._quota_free = np.array([quota for _, quota in units.values()], np.int64)
        self._used = np.zeros(count, np.int64)
        self._memory_free = np.zeros(count, np.int64)
        self._clients_free = np.zeros(count, np.int64)
        self._widest = np.zeros((GPU_SIDE + 1, count), np.uint8)
        self._is_there = np.ones(count, np.bool_)
        self._snapshots = [ground.snapshot for ground in ordered]
        self._weights = Weights(self._snapshots)
        for place, snapshot in enumerate(self._snapshots):
            self._write(place, snapshot)
        self._taken: list[tuple[int, Snapshot, Request]] = []
        self._hopeless: dict[_Shape, int] = {}
        self._searched: set[tuple[Size, ...]] = set()
        self._reaches: dict[frozenset[str], _Bools] = {}

    def begin(self) -> None:
        """Undo the moves of the set in question."""
        while self._taken:
            place, before, request = self._taken.pop()
            self._write(place, before)
            self._count(place, request, 1)

    def settle(self, freed: Key) -> None:
        """Keep the moves of the set in question, which frees a GPU."""
        self.received |= {self._keys[place] for place, _, _ in self._taken}
        self._is_there[self._places[freed]] = False
        self._taken.clear()

    def take(self, tenant: Tenant, source: Key) -> Key | None:
        """Put a pod's successor on the fullest GPU but `source` that has room; None if none has."""
        request, from_place = tenant.request, self._places[source]
        shape = (request.size, request.memory_bytes, request.model, tenant.reach)
        for place, found in self._openings(tenant, shape, from_place):
            if self._packer.holds(found.after.layout.sizes, search_longer=True):
                self._taken.append((place, self._snapshots[place], request))
                self._write(place, found.after)
                self._count(place, request, -1)
                return self._keys[place]
        if not self._taken:
            self._hopeless.setdefault(shape, from_place)
        return None

    def _openings(
        self, tenant: Tenant, shape: _Shape, source: int
    ) -> Iterator[tuple[int, Placement]]:
        """Yield the GPUs that take a pod; where it needs a new layout, few are tried."""
        request = tenant.request
        may = self._may_take(request, tenant.reach)
        may[source] = False
        if shape in self._hopeless:
            # It found no room but perhaps there, where it came from; and rooms only shrink. (Where
            # its weights have come since, whoever brought them took that memory and more.)
            may[np.arange(len(may)) != self._hopeless[shape]] = False
        fits = self._widest[request.size.height] >= request.size.width
        relayouts = RELAYOUTS
        for place in _fullest_first(may, self._used):
            if not fits[place]:
                relayouts -= 1
                if relayouts < 0 or not self._may_search(place, request.size):
                    continue
            answer = placement.choose((self._snapshots[place],), request, self._packer)
            if isinstance(answer, Placement):
                yield place, answer

    def _may_search(self, place: int, size: Size) -> bool:
        """Tell whether a new layout of a GPU with `size` may be searched, and take note of it."""
        together = tuple(sorted((*self._snapshots[place].layout.sizes, size)))
        if together not in self._searched and len(self._searched) >= SEARCHES:
            return False
        self._searched.add(together)
        return True

    def _may_take(self, request: Request, reach: frozenset[str] | None) -> _Bools:
        """Tell of all GPUs whether their node, area, memory and clients allow a pod."""
        size = request.size
        has_units = (self._sm_free >= size.height) & (self._quota_free >= size.width)
        may: _Bools = self._is_there & has_units[self._node_of]
        may &= self._used <= GPU_RECTANGLE.area - size.area
        may &= self._clients_free > 0
        may &= self._memory_free >= self._weights.asked(request)
        if reach is not None:
            may &= self._within(reach)
        return may

    def _within(self, reach: frozenset[str]) -> _Bools:
        """Tell of all GPUs whether their node is one of `reach`."""
        nodes = self._reaches.get(reach)
        if nodes is None:
            nodes = np.zeros(len(self._nodes), np.bool_)
            known = [self._nodes[name] for name in reach if name in self._nodes]
            nodes[known] = True
            if len(reach) > _FEW:
                self._reaches[reach] = nodes
        return nodes[self._node_of]

    def _write(self, place: int, snapshot: Snapshot) -> None:
        """Take over what one GPU holds by now."""
        self._snapshots[place] = snapshot
        self._weights.write(place, snapshot)
        self._used[place] = snapshot.layout.used_area
        self._memory_free[place] = snapshot.memory_free_bytes
        self._clients_free[place] = snapshot.clients_free
        self._widest[:, place] = np.frombuffer(snapshot.layout.profile, np.uint8)

    def _count(self, place: int, request: Request, sign: int) -> None:
        """Add a pod's units to what its node has left, or take them off."""
        node = self._node_of[place]
        self._sm_free[node] += sign * request.sm_percent
        self._quota_free[node] += sign * request.quota_percent


def key_of(ground: Ground) -> Key:
    """Return how a plan names a GPU."""
    return ground.node, ground.snapshot.gpu.uuid


def _fullest_first(may: _Bools, used: _Ints) -> Iterator[int]:
    """Yield the places where `may`, by falling area in use, ties to the first.

    Most often the first of them is the last that is asked for.
    """
    left = np.where(may, used, -1)
    while len(left):
        place = int(left.argmax())
        if left[place] < 0:
            return
        left[place] = -1
        yield place
