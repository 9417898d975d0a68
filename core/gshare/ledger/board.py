"""What all nodes are worth to one kind of request, as numbers that sort them, kept up to date.

The order. Within a node the GPU with the best short-side fit is chosen, after what a policy puts
before it, ties to the one worth most, then the first. Nodes go by what their GPU is worth, then by
their own area in use, then by name. Of GPUs that a policy finds worth the same, the one is worth
more that has the model with which a pod comes: it starts at once there. A GPU on which only a new
layout can make room comes before the chosen one of its node where it is worth more, at most
RELAYOUT_CANDIDATES of a node.

Both orders are whole numbers that are compared at once. Across nodes (a key): worth 15 bits, the
node's area 22, its rank by name 20, the plane 6. Within a node: what the policy puts first 15, the
short side 7, worth 15, the plane 6. So a node has at most 64 GPUs (`annotations.MOST_GPUS`).

Cost. A function's replicas ask the same, so each such request has a board, and only the nodes that
have changed since it was last asked are judged again. All 40,000 GPUs take half a millisecond.
"""

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare.placement import RELAYOUT_CANDIDATES
from gshare.policies import AFFINITY, POLICIES, Policy, Traits

from .index import Index
from .judging import Asked, Bools, Cut, Judged

Ints = NDArray[np.int64]
PLANE_BITS: Final = 6
LAST_PLANE: Final = 2**PLANE_BITS - 1
_RANK_BITS: Final = 20
_AREA_BITS: Final = 22
_SIDE_BITS: Final = 7
_WORTH_BITS: Final = 15
NODE_BITS: Final = _AREA_BITS + _RANK_BITS
_SIDE_AT: Final = _WORTH_BITS + PLANE_BITS
_FIRST_AT: Final = _SIDE_BITS + _SIDE_AT
_LAST_AREA: Final = 2**_AREA_BITS - 1
_LAST_RANK: Final = 2**_RANK_BITS - 1
_MOST_WORTH: Final = 2**_WORTH_BITS - 1
_BOARDS: Final = 32
_FEW: Final = 8
"""Where more than one node in so many has changed, all are judged again."""


class Board:
    """The keys of all nodes for one kind of request, -1 where there is none.

    `direct` has by node that of its best GPU as it lies; `stuck`, by plane and node, those of the
    GPUs on which a new layout is worth more.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.direct: Ints = np.zeros(0, np.int64)
        self.stuck: Ints = np.zeros((1, 0), np.int64)
        self._highest_stuck: Ints = np.zeros(0, np.int64)
        self.floors = [0, 0]
        """About a batch of the keys of each kind was above these when they were last sorted."""
        self._seen = (-1, 0)

    def follow(self, index: Index) -> None:
        """Take over what has changed since the last time."""
        changed = index.changed_since(self._seen)
        self._seen = index.now
        if changed is None or len(changed) * _FEW > len(self.direct):
            self.direct = np.empty(index.size, np.int64)
            self.stuck = np.empty((index.columns.planes, index.size), np.int64)
            self._highest_stuck = np.empty(index.size, np.int64)
            self._write(index, slice(0, index.size))
        elif changed:
            self._write(index, np.fromiter(changed, np.intp, len(changed)))

    def stuck_above(self, floor: int) -> NDArray[np.intp]:
        """Return the indices in `stuck`, as one row, of the keys that are no less than `floor`.

        By the highest of each node first: the whole of it is too much to be read for each request.
        """
        nodes = np.flatnonzero(self._highest_stuck >= floor)
        planes, at = np.nonzero(self.stuck[:, nodes] >= floor)
        found: NDArray[np.intp] = planes * len(self.direct) + nodes[at]
        return found

    def orders(self, index: Index, node: int) -> list[tuple[int, int, int]]:
        """Return the GPUs of a node that take the request: order, plane and worth, best first."""
        ranked = _Ranked(index, self.asked, np.array([node], np.intp))
        orders, worth = ranked.order[:, 0].tolist(), ranked.worth[:, 0].tolist()
        fits = ranked.judged.fits[:, 0].tolist()
        return sorted(
            (order, plane, worth[plane]) for plane, order in enumerate(orders) if fits[plane]
        )

    def _write(self, index: Index, cut: Cut) -> None:
        ranked = _Ranked(index, self.asked, cut)
        node_keys = self._node_keys(index, cut)
        self.direct[cut] = ranked.direct(node_keys)
        stuck = ranked.stuck(node_keys)
        self.stuck[:, cut] = stuck
        self._highest_stuck[cut] = stuck.max(axis=0)

    def _node_keys(self, index: Index, cut: Cut) -> Ints:
        area = index.columns.node_used[cut]
        if not POLICIES[self.asked.preference.policy].fills_nodes:
            area = _LAST_AREA - area
        return (area << _RANK_BITS) | (_LAST_RANK - index.ranks()[cut])


class Boards:
    """The boards of the kinds of requests that were asked last."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._boards: OrderedDict[Asked, Board] = OrderedDict()

    def of(self, asked: Asked) -> Board:
        """Return the board for a kind of request, up to date."""
        board = self._boards.pop(asked, None) or Board(asked)
        self._boards[asked] = board
        if len(self._boards) > _BOARDS:
            self._boards.popitem(last=False)
        board.follow(self._index)
        return board


class _Ranked:
    """The order of GPUs within their nodes, for some nodes; the best has the lowest number."""

    def __init__(self, index: Index, asked: Asked, cut: Cut) -> None:
        self.judged = judged = Judged(index, asked, cut)
        policy = POLICIES[asked.preference.policy]
        kind = np.int32 if policy.first is None else np.int64
        traits = _traits(index, asked, judged, cut)
        self.worth = _worth(policy, traits, asked)
        self._far_at = np.iinfo(kind).bits - 2
        self._planes = np.arange(len(self.worth))[:, None]
        order = np.left_shift(judged.short, _SIDE_AT, dtype=kind)
        order |= np.left_shift(_MOST_WORTH - self.worth, PLANE_BITS, dtype=kind)
        order |= self._planes.astype(kind)
        if policy.first is not None:
            order |= np.left_shift(policy.first(traits), _FIRST_AT, dtype=kind)
        order |= np.left_shift(~judged.fits, self._far_at, dtype=kind)
        self.order: NDArray[np.signedinteger] = order

    def direct(self, node_keys: Ints) -> Ints:
        """Return the key of the best GPU of each node that takes the request as it lies."""
        best = self.order.min(axis=0).astype(np.int64)
        has_none = best >= 1 << self._far_at
        worth = _MOST_WORTH - ((best >> PLANE_BITS) & _MOST_WORTH)
        worth[has_none] = -1
        self._least = worth.astype(np.int16)
        keys = ((worth << NODE_BITS) | node_keys) << PLANE_BITS
        keys |= LAST_PLANE - (best & LAST_PLANE)
        return np.where(has_none, -1, keys)

    def stuck(self, node_keys: Ints) -> Ints:
        """Return the keys of the GPUs on which a new layout is worth more than that."""
        stuck = _at_most(self.judged.room & (self.worth > self._least), self.worth)
        keys = np.full(stuck.shape, -1, np.int64)
        planes, places = np.divmod(np.flatnonzero(stuck), max(1, stuck.shape[1]))
        found = self.worth[planes, places].astype(np.int64) << NODE_BITS
        found |= node_keys[places]
        keys[planes, places] = (found << PLANE_BITS) | (LAST_PLANE - planes)
        return keys


def _traits(index: Index, asked: Asked, judged: Judged, cut: Cut) -> Traits:
    name = asked.preference.model or (asked.model.name if asked.model else "")
    if not name:
        return Traits(judged.used, _NOWHERE)
    return Traits(judged.used, index.model(name).is_there[:, cut])


def _worth(policy: Policy, traits: Traits, asked: Asked) -> NDArray[np.int16]:
    """Return what GPUs are worth, 0-20,001: by the policy, and then by whether the model is there.

    `affinity` has judged that already.
    """
    worth = policy.worth(traits)
    if asked.model is None or asked.preference.policy == AFFINITY:
        return worth
    return 2 * worth + traits.resident


def _at_most(stuck: Bools, worth: NDArray[np.int16]) -> Bools:
    """Return the RELAYOUT_CANDIDATES of each node that are worth most, ties to the first."""
    if len(stuck) <= RELAYOUT_CANDIDATES:
        return stuck
    crowded = np.flatnonzero(stuck.sum(axis=0) > RELAYOUT_CANDIDATES)
    here = stuck[:, crowded]
    order = np.argsort(np.where(here, -worth[:, crowded], 1), axis=0, kind="stable")
    kept = np.zeros_like(here)
    np.put_along_axis(kept, order[:RELAYOUT_CANDIDATES], values=True, axis=0)
    stuck[:, crowded] &= kept
    return stuck


_NOWHERE: Final = np.zeros((1, 1), np.int16)
