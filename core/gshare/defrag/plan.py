"""Chooses which GPUs to free, and where the pods on them find room.

Idea. A GPU is freed by evicting all of its pods; their controllers make successors, which must
find room on other GPUs that are in use anyway. What that costs depends on the GPU's own pods
alone, so the greedy order is known before anything is placed: the highest priority of what moves,
then how many pods, their area, their memory, then node and GPU by name. Each GPU in that order is
freed if the whole set of its pods finds room, and is then out of play; a GPU that has received
pods is not freed any more, so that no pod moves twice.

Invariant. The moves of a plan, in its order, lead from one feasible state to another: every pod
that moves has, on the GPU it goes to and beside all that is there by then, a layout that can be
found again from the sizes alone, memory, an MPS client, and units of its node. A node's units of
a pod that moves within it count twice, since successor and pod are there together for a while.

Never named: a pod without a controller that would make another, one whose PodDisruptionBudget
lets nobody go, and one under two budgets, which the Eviction API refuses. Evictions are one at a
time, so a budget is asked for one pod at a time.

Worked example. Three GPUs hold 60 by 100, 40 by 100 and 30 by 100, of equal priority. The last
costs least (area 3,000) and finds room beside 60, so it is freed first; that leaves 10 by 100
there, too little for 40, so the plan ends with one GPU freed by one eviction.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gshare import placement
from gshare.ledger import Ground
from gshare.modes import Packer
from gshare.placement import Placement, Snapshot
from gshare.rectangles import GPU_RECTANGLE, Size

from .values import Budgets, Clearing, Kept, Move, Plan, Tenant

# On how many GPUs a new layout is searched for one pod.
RELAYOUTS: Final = 64

_Key = tuple[str, str]
"""A node and the UUID of a GPU of it."""
_Shape = tuple[Size, int | None, frozenset[str] | None]
_Units = tuple[int, int]


def plan(
    grounds: Iterable[Ground],
    tenants: Mapping[str, Tenant],
    budgets: Budgets,
    packer: Packer,
    most: int | None = None,
) -> Plan:
    """Return how to free up to `most` GPUs (None: as many as can be); `tenants` are by pod UID.

    Pods go only to GPUs of `grounds`.
    """
    sources = {_key(each): each for each in grounds if each.snapshot.layout.keys}
    rooms = _Rooms.of(sources.values(), packer)
    clearings: list[Clearing] = []
    kept: list[Kept] = []
    for ground in sorted(sources.values(), key=_cost):
        answer = _cleared(ground, tenants, budgets, rooms)
        if isinstance(answer, Clearing) and len(clearings) == most:
            answer = "could be freed as well, for more than those that are"
        if isinstance(answer, Clearing):
            clearings.append(answer)
            rooms.settle(_key(ground))
        else:
            kept.append(Kept(*_key(ground), answer))
    return Plan(tuple(clearings), tuple(kept))


def clear(
    grounds: Iterable[Ground],
    tenants: Mapping[str, Tenant],
    budgets: Budgets,
    packer: Packer,
    key: _Key,
) -> Clearing | str:
    """Return how to free the GPU `key` of `grounds` as they are by now, or why that cannot be."""
    sources = {_key(each): each for each in grounds if each.snapshot.layout.keys}
    if key not in sources:
        return "is out of use, or cannot be used now"
    return _cleared(sources[key], tenants, budgets, _Rooms.of(sources.values(), packer))


@dataclass(slots=True)
class _Rooms:
    """The GPUs in use, as the moves so far leave them; `trial` is the set in question."""

    packer: Packer
    snapshots: dict[_Key, Snapshot]
    units: dict[str, _Units]
    order: list[_Key] = field(default_factory=list)
    received: set[_Key] = field(default_factory=set)
    trial: ChainMap[_Key, Snapshot] = field(init=False)
    trial_units: ChainMap[str, _Units] = field(init=False)
    hopeless: dict[_Shape, _Key] = field(default_factory=dict)
    """What finds no room but perhaps on the one GPU that was to be freed then.

    It stays so, since rooms only shrink.
    """

    @classmethod
    def of(cls, grounds: Iterable[Ground], packer: Packer) -> "_Rooms":
        """Return the rooms of `grounds`."""
        given = list(grounds)
        rooms = cls(
            packer,
            {_key(ground): ground.snapshot for ground in given},
            {ground.node: ground.units_free for ground in given},
        )
        rooms.begin()
        rooms._sort()
        return rooms

    def begin(self) -> None:
        """Forget the set in question."""
        self.trial = ChainMap({}, self.snapshots)
        self.trial_units = ChainMap({}, self.units)

    def settle(self, freed: _Key) -> None:
        """Make the moves of the set in question, which frees a GPU."""
        self.received |= self.trial.maps[0].keys()
        self.snapshots |= self.trial.maps[0]
        self.units |= self.trial_units.maps[0]
        del self.snapshots[freed]
        self.begin()
        self._sort()

    def take(self, tenant: Tenant, source: _Key) -> _Key | None:
        """Put a pod's successor on the fullest GPU but `source` that has room; None if none has."""
        shape = (tenant.request.size, tenant.request.memory_bytes, tenant.reach)
        is_first = not self.trial.maps[0]
        left = self.hopeless.get(shape)
        for key, placed in self._openings(tenant, self.order if left is None else [left]):
            if key != source and self._is_found_again(placed):
                sm, quota = self.trial_units[key[0]]
                request = tenant.request
                self.trial_units[key[0]] = (sm - request.sm_percent, quota - request.quota_percent)
                self.trial[key] = placed.after
                return key
        if is_first:
            self.hopeless.setdefault(shape, source)
        return None

    def _openings(self, tenant: Tenant, keys: Sequence[_Key]) -> Iterator[tuple[_Key, Placement]]:
        """Yield the GPUs that take a pod; where it needs a new layout, few are tried."""
        relayouts = RELAYOUTS
        for key in keys:
            if key not in self.trial or not self._may_take(tenant, key):
                continue
            snapshot = self.trial[key]
            if not snapshot.layout.fits(tenant.request.size):
                relayouts -= 1
                if relayouts < 0:
                    continue
            answer = placement.choose((snapshot,), tenant.request, self.packer)
            if isinstance(answer, Placement):
                yield key, answer

    def _may_take(self, tenant: Tenant, key: _Key) -> bool:
        """Tell whether a GPU's node, area and sums allow a pod, which is quick to see."""
        snapshot, request = self.trial[key], tenant.request
        sm, quota = self.trial_units[key[0]]
        return (
            (tenant.reach is None or key[0] in tenant.reach)
            and tenant.pod.uid not in snapshot.layout.keys
            and snapshot.layout.used_area + request.size.area <= GPU_RECTANGLE.area
            and request.sm_percent <= sm
            and request.quota_percent <= quota
        )

    def _is_found_again(self, placed: Placement) -> bool:
        return self.packer.holds(placed.after.layout.sizes, search_longer=True)

    def _sort(self) -> None:
        self.order = sorted(
            self.snapshots, key=lambda key: (-self.snapshots[key].layout.used_area, key)
        )


def _cleared(
    ground: Ground, tenants: Mapping[str, Tenant], budgets: Budgets, rooms: _Rooms
) -> Clearing | str:
    """Return how to free one GPU, as the set in question of `rooms`; or why that cannot be."""
    source = _key(ground)
    if source in rooms.received:
        return "takes in pods of those that are freed"
    obstacle = _obstacle(ground, tenants, budgets)
    if obstacle:
        return obstacle
    rooms.begin()
    moves = []
    for tenant in _largest_first(tenants[uid] for uid in ground.pods):
        found = rooms.take(tenant, source)
        if found is None:
            rooms.begin()
            size = placement.size_text(tenant.request.size)
            return f"no other GPU in use has room for {_path(tenant)} ({size}) beside the rest"
        moves.append(Move(tenant.pod, tenant.owner, *found))
    return Clearing(*source, tuple(moves))


def _obstacle(ground: Ground, tenants: Mapping[str, Tenant], budgets: Budgets) -> str:
    """Return why the pods of a GPU may not all be evicted; empty where they may."""
    if any(uid not in ground.pods for uid in ground.snapshot.layout.keys):
        return "a place is held on it for a pod on its way"
    for uid in sorted(ground.pods):
        tenant = tenants.get(uid)
        reason = "is not known well enough" if tenant is None else _immovable(tenant, budgets)
        if reason:
            pod = ground.pods[uid]
            return f"{pod.namespace}/{pod.name} {reason}"
    return ""


def _immovable(tenant: Tenant, budgets: Budgets) -> str:
    """Return why a pod is not to be evicted; empty where it may be."""
    if tenant.pod.leaves_at_s is not None:
        return "is leaving already"
    if not tenant.owner:
        return "has no controller that would make it again elsewhere"
    covering = [budget for budget in budgets if budget.covers(tenant.pod)]
    if len(covering) > 1:
        return "stands under two PodDisruptionBudgets, which the Eviction API refuses"
    spent = [budget.name for budget in covering if budget.allowed < 1]
    return f"is kept by its PodDisruptionBudget {spent[0]}" if spent else ""


def _cost(ground: Ground) -> tuple[int, int, int, int, str, str]:
    """Return what it costs to free a GPU, whatever the others hold."""
    pods = ground.pods.values()
    return (
        max((pod.priority for pod in pods), default=0),
        len(ground.snapshot.layout.keys),
        ground.snapshot.layout.used_area,
        sum(pod.placement.memory_bytes for pod in pods),
        *_key(ground),
    )


def _largest_first(tenants: Iterable[Tenant]) -> list[Tenant]:
    return sorted(
        tenants,
        key=lambda tenant: (
            -tenant.request.size.area,
            tenant.request.size,
            tenant.pod.namespace,
            tenant.pod.name,
            tenant.pod.uid,
        ),
    )


def _key(ground: Ground) -> _Key:
    return ground.node, ground.snapshot.gpu.uuid


def _path(tenant: Tenant) -> str:
    return f"{tenant.pod.namespace}/{tenant.pod.name}"
