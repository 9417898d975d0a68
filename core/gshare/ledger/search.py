"""One request put to all GPUs at once: the nodes that take it in order, and why others do not.

`board` has the order. A search goes through the keys of the nodes that are asked, the best first:
of their best GPUs, of those for which only a new layout may make room, and, where a node's best
was refused after all, of that node's others.
"""

import heapq
from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from .board import LAST_PLANE, NODE_BITS, PLANE_BITS, Board, Ints
from .falling import Falling
from .index import Index, View
from .judging import Judged
from .values import RefusalKind


class Option:
    """A GPU that takes a request, if a layout is found; a node's place in the view, and a plane."""

    __slots__ = ("is_relaid", "place", "plane")

    def __init__(self, place: int, plane: int, *, is_relaid: bool) -> None:
        self.place, self.plane, self.is_relaid = place, plane, is_relaid


class Search:
    """What the columns answer to one request."""

    def __init__(self, index: Index, board: Board, view: View) -> None:
        self._index, self._board, self._view = index, board, view
        self._fallbacks: list[tuple[int, int, int, int]] = []
        self._keys, stuck = view.of(board.direct), view.of(board.stuck)
        self._length = len(self._keys)
        floors = board.floors if view.is_whole else [0, 0]
        self._direct = Falling(self._keys, floors[0])
        states = _states(index, view, self._length)
        above = board.stuck_above if view.is_whole else None
        self._relaid = Falling(stuck.reshape(-1), floors[1], states, above)
        floors[:] = self._direct.floor, self._relaid.floor
        self.has_direct = self._direct.head >= 0
        """Whether any GPU takes the request as it lies."""

    def next(self) -> Option | None:
        """Return the best GPU that was not returned yet; None at the end."""
        key = self._direct.head
        relaid, direct = self._relaid.head >> PLANE_BITS, key >> PLANE_BITS
        if self._fallbacks and -self._fallbacks[0][0] > max(relaid, direct):
            _, _, place, plane = heapq.heappop(self._fallbacks)
            return Option(place, plane, is_relaid=False)
        if relaid < direct:
            return Option(self._direct.pop(), LAST_PLANE - (key & LAST_PLANE), is_relaid=False)
        if relaid < 0:
            return None
        plane, place = divmod(self._relaid.pop(), self._length)
        return Option(place, plane, is_relaid=True)

    def fall_back(self, option: Option) -> None:
        """Offer the other GPUs of a node too, since its best one was refused."""
        key = int(self._keys[option.place])
        best, node_key = key >> (PLANE_BITS + NODE_BITS), (key >> PLANE_BITS) % (1 << NODE_BITS)
        if option.plane != LAST_PLANE - (key & LAST_PLANE):
            return
        others = self._board.orders(self._index, self._view.node(option.place))[1:]
        for turn, (_, plane, worth) in enumerate(others):
            fallback = (min(worth, best) << NODE_BITS) | node_key
            heapq.heappush(self._fallbacks, (-fallback, turn, option.place, plane))

    def drop_state(self, number: int) -> None:
        """Offer no GPU in that state for a new layout any more."""
        self._relaid.drop(number)

    def keep_states(self, numbers: Collection[int]) -> None:
        """Offer only GPUs in those states for a new layout."""
        self._relaid.keep(numbers)

    def refusals(self) -> dict[str, RefusalKind]:
        """Return why each node does not take the request, by name, in the order asked.

        To be asked where the search has ended without a node: those with an option have none after
        all.
        """
        view = self._view
        has_option = (self._keys >= 0) | (view.of(self._board.stuck) >= 0).any(axis=0)
        found = Judged(self._index, self._board.asked, view.cut).refusals(has_option)
        kinds = map(found.__getitem__, view.places.tolist())
        return dict(zip(view.names, kinds, strict=True))


def _states(index: Index, view: View, length: int) -> Callable[[NDArray[np.intp]], Ints]:
    """Return what tells in which state the GPUs are, by index of keys that are `length` a plane.

    Nothing here may refer to the search: what refers to itself stays until the collector comes,
    and with it the thousands of names that were asked.
    """

    def states(found: NDArray[np.intp]) -> Ints:
        planes, places = np.divmod(found, length)
        return index.columns.state[planes, view.nodes(places)]

    return states
