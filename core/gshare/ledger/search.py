"""One request put to all GPUs at once: the nodes that take it in order, and why others do not.

The order. Within a node the GPU with the best short-side fit is chosen, after what a policy puts
before it, ties to the one worth most, then the first. Nodes go by what their GPU is worth, then by
their own area in use, then by name. A GPU on which only a new layout can make room comes before
the chosen one of its node where it is worth more, at most RELAYOUT_CANDIDATES of a node.

Both orders are whole numbers that are compared at once. Across nodes: worth 15 bits, the node's
area 22, its rank by name 20, the plane 6. Within a node: what the policy puts first 15, the short
side 7, worth 15, the plane 6. So a node has at most 64 GPUs (`annotations.MOST_GPUS`).
"""

import heapq
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gshare.placement import RELAYOUT_CANDIDATES, Request
from gshare.policies import POLICIES, Preference, Traits
from gshare.rectangles import GPU_RECTANGLE

from .columns import ABSENT, CODES, kind_of
from .index import Index, View
from .values import RefusalKind

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_PLANE_BITS: Final = 6
_RANK_BITS: Final = 20
_AREA_BITS: Final = 22
_SIDE_BITS: Final = 7
_WORTH_BITS: Final = 15
_LAST_PLANE: Final = 2**_PLANE_BITS - 1
_LAST_AREA: Final = 2**_AREA_BITS - 1
_LAST_RANK: Final = 2**_RANK_BITS - 1
_MOST_WORTH: Final = 2**_WORTH_BITS - 1
_FAR: Final = 2**62
_BATCH: Final = 32


class Option:
    """A GPU that takes a request, if a layout is found; a node's place in the view, and a plane."""

    __slots__ = ("is_relaid", "place", "plane")

    def __init__(self, place: int, plane: int, *, is_relaid: bool) -> None:
        self.place, self.plane, self.is_relaid = place, plane, is_relaid


class _Falling:
    """Indices of positive keys in falling order, a batch at a time, as only the first matter."""

    def __init__(self, keys: Ints) -> None:
        self._keys = keys
        self._batch: list[int] = []
        self._fill()

    def peek(self) -> int:
        """Return the greatest key that is left; -1 at the end."""
        return int(self._keys[self._batch[-1]]) if self._batch else -1

    def pop(self) -> int:
        """Return its index, and go on to the next."""
        at = self._batch.pop()
        self._keys[at] = -1
        if not self._batch:
            self._fill()
        return at

    def drop(self, gone: Bools) -> None:
        """Leave out the indices where `gone`."""
        self._keys[gone] = -1
        self._batch = [at for at in self._batch if not gone[at]]
        if not self._batch:
            self._fill()

    def _fill(self) -> None:
        keys = self._keys
        if len(keys) > _BATCH:
            found = np.argpartition(keys, len(keys) - _BATCH)[-_BATCH:]
        else:
            found = np.arange(len(keys))
        ordered = found[np.argsort(keys[found])]
        self._batch = [at for at in ordered.tolist() if keys[at] >= 0]


class Search:
    """What the columns answer to one request."""

    def __init__(self, index: Index, request: Request, view: View, preference: Preference) -> None:
        self._view = view
        self._judge(index, request)
        self._weigh(index, preference)
        self._fallbacks: list[tuple[int, int, int, int]] = []
        self._stuck_at = np.nonzero(self._stuck)
        self._relaid = _Falling(self._stuck_keys())
        self._direct = _Falling(self._direct_keys())

    @property
    def has_direct(self) -> bool:
        """Tell whether any GPU takes the request as it lies."""
        return bool(self._has_direct.any())

    def next(self) -> Option | None:
        """Return the best GPU that was not returned yet; None at the end."""
        relaid, direct = self._relaid.peek() >> _PLANE_BITS, self._direct.peek()
        fallback = -self._fallbacks[0][0] if self._fallbacks else -1
        if relaid == direct == fallback == -1:
            return None
        if relaid >= max(direct, fallback):
            at = self._relaid.pop()
            plane, place = (int(axis[at]) for axis in self._stuck_at)
            return Option(place, plane, is_relaid=True)
        if direct >= fallback:
            place = self._direct.pop()
            return Option(place, int(self._best_plane[place]), is_relaid=False)
        _, _, place, plane = heapq.heappop(self._fallbacks)
        return Option(place, plane, is_relaid=False)

    def fall_back(self, option: Option) -> None:
        """Offer the other GPUs of a node too, since its best one was refused."""
        place = option.place
        if option.plane != self._best_plane[place]:
            return
        order = self._order[:, place]
        best = self._worth[option.plane, place]
        for turn, plane in enumerate(np.argsort(order, kind="stable").tolist()):
            if order[plane] < _FAR and plane != option.plane:
                worth = min(int(self._worth[plane, place]), int(best))
                key = (worth << (_AREA_BITS + _RANK_BITS)) | int(self._node_key[place])
                heapq.heappush(self._fallbacks, (-key, turn, place, plane))

    def drop_state(self, number: int) -> None:
        """Offer no GPU in that state for a new layout any more."""
        self._relaid.drop(self._stuck_states() == number)

    def keep_states(self, numbers: list[int]) -> None:
        """Offer only GPUs in those states for a new layout."""
        self._relaid.drop(~np.isin(self._stuck_states(), numbers))

    def refusals(self, fulls: set[int] | None) -> dict[str, RefusalKind]:
        """Return why nodes do not take the request, by name, in the order asked.

        Those with an option are not among them; but where `fulls` is not None, the search has
        ended, and all but the places in it have none after all.
        """
        codes = self._codes()
        if fulls is not None:
            has_none = codes == 0
            has_none[list(fulls)] = False
            codes[has_none] = CODES[RefusalKind.FULL]
        of_names = np.append(codes, _NO_GPU)[self._view.places].tolist()
        if not any(of_names):
            return {}
        return {
            name: _KINDS[code]
            for name, code in zip(self._view.names, of_names, strict=True)
            if code
        }

    def _judge(self, index: Index, request: Request) -> None:
        """Find which GPUs take the request as they lie (`_fits`), and which perhaps (`_stuck`)."""
        cut, columns, size = self._view.cut, index.columns, request.size
        self._columns = columns
        widths = columns.widest[size.height][:, cut]
        heights = columns.highest[size.width][:, cut]
        self._used = columns.used[:, cut]
        if request.memory_bytes is None:
            self._has_memory = columns.share_area[:, cut] >= size.area
        else:
            self._has_memory = columns.memory_free[:, cut] >= request.memory_bytes
        has_units = (columns.sm_free[cut] >= size.height) & (columns.quota_free[cut] >= size.width)
        self._has_units = has_units
        self._is_offering = columns.is_offering[cut]
        self._may = self._view.asked & self._is_offering & has_units
        able = (columns.obstacle[:, cut] == 0) & self._has_memory
        fits = widths >= size.width
        self._fits = able & fits
        self._room = able & ~fits & (self._used <= GPU_RECTANGLE.area - size.area)
        self._short = np.minimum(widths - np.uint8(size.width), heights - np.uint8(size.height))

    def _weigh(self, index: Index, preference: Preference) -> None:
        """Find the best GPU of each node, and which new layouts are worth more than it."""
        policy, cut = POLICIES[preference.policy], self._view.cut
        looks = preference.policy == "affinity"
        resident = index.resident(preference.model)[:, cut] if looks else np.zeros((1, 1), np.int32)
        traits = Traits(self._used, resident)
        self._worth = policy.worth(traits)
        planes = np.arange(self._used.shape[0], dtype=np.int64)[:, None]
        order = self._short.astype(np.int64) << (_WORTH_BITS + _PLANE_BITS)
        if policy.first is not None:
            side = _SIDE_BITS + _WORTH_BITS + _PLANE_BITS
            order |= policy.first(traits).astype(np.int64) << side
        order |= ((_MOST_WORTH - self._worth).astype(np.int64) << _PLANE_BITS) | planes
        order[~self._fits] = _FAR
        self._order = order
        best = order.min(axis=0)
        self._has_direct = self._may & (best < _FAR)
        self._best_plane = best & _LAST_PLANE
        self._best_worth = _MOST_WORTH - ((best >> _PLANE_BITS) & _MOST_WORTH)
        least = np.where(self._has_direct, self._best_worth, -1)
        self._stuck = _at_most(self._room & self._may & (self._worth > least), self._worth)
        area = self._columns.node_used[cut]
        area = area if policy.fills_nodes else _LAST_AREA - area
        self._node_key = (area << _RANK_BITS) | (_LAST_RANK - index.ranks()[cut])

    def _direct_keys(self) -> Ints:
        keys = (self._best_worth << (_AREA_BITS + _RANK_BITS)) | self._node_key
        return np.where(self._has_direct, keys, -1)

    def _stuck_keys(self) -> Ints:
        planes, places = self._stuck_at
        worth = self._worth[planes, places].astype(np.int64)
        keys = (worth << (_AREA_BITS + _RANK_BITS)) | self._node_key[places]
        return (keys << _PLANE_BITS) | (_LAST_PLANE - planes)

    def _stuck_states(self) -> Ints:
        planes, places = self._stuck_at
        return self._columns.state[:, self._view.cut][planes, places]

    def _codes(self) -> NDArray[np.uint8]:
        """Return by place in the view the code of why there is no option, 0 where there is one."""
        has_option = self._has_direct | self._stuck.any(axis=0)
        if has_option[self._view.asked].all():
            return np.zeros(len(has_option), np.uint8)
        obstacle = self._columns.obstacle[:, self._view.cut]
        other = np.where(self._has_memory, CODES[RefusalKind.FULL], CODES[RefusalKind.MEMORY])
        nearest = np.where(obstacle, obstacle, other).min(axis=0)
        codes = np.where(self._has_units, nearest, _UNITS)
        codes = np.where(self._is_offering, codes, _NO_GPU)
        return np.where(has_option, 0, codes).astype(np.uint8)


def _at_most(stuck: Bools, worth: NDArray[np.int32]) -> Bools:
    """Return the RELAYOUT_CANDIDATES of each node that are worth most, ties to the first."""
    if len(stuck) <= RELAYOUT_CANDIDATES:
        return stuck
    order = np.argsort(np.where(stuck, -worth, 1), axis=0, kind="stable")
    kept = np.zeros_like(stuck)
    np.put_along_axis(kept, order[:RELAYOUT_CANDIDATES], values=True, axis=0)
    return stuck & kept


_NO_GPU: Final = ABSENT - 1
_UNITS: Final = ABSENT - 2
_KINDS: Final = {
    **{code: kind_of(code) for code in CODES.values()},
    _NO_GPU: RefusalKind.NO_GPU,
    _UNITS: RefusalKind.UNITS,
}
