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
a pod that moves within it count twice, since successor and pod are there together for a while. Of
memory it needs what it adds: weights that the GPU's store has for others cost nothing more.

Never named: a pod without a controller that would make another, one whose PodDisruptionBudget
lets nobody go, and one under two budgets, which the Eviction API refuses. Evictions are one at a
time, so a budget is asked for one pod at a time.

Worked example. Three GPUs hold 60 by 100, 40 by 100 and 30 by 100, of equal priority. The last
costs least (area 3,000) and finds room beside 60, so it is freed first; that leaves 10 by 100
there, too little for 40, so the plan ends with one GPU freed by one eviction.
"""

from collections.abc import Iterable, Mapping

from gshare import placement
from gshare.ledger import Ground
from gshare.modes import Packer

from .rooms import Key, Rooms, key_of
from .values import Budgets, Clearing, Kept, Move, Plan, Tenant


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
    sources = {key_of(each): each for each in grounds if each.snapshot.layout.keys}
    rooms = Rooms(list(sources.values()), packer)
    clearings: list[Clearing] = []
    kept: list[Kept] = []
    for ground in sorted(sources.values(), key=_cost):
        answer = _cleared(ground, tenants, budgets, rooms)
        if isinstance(answer, Clearing) and len(clearings) == most:
            answer = "could be freed as well, for more than those that are"
        if isinstance(answer, Clearing):
            clearings.append(answer)
            rooms.settle(key_of(ground))
        else:
            kept.append(Kept(*key_of(ground), answer))
    return Plan(tuple(clearings), tuple(kept))


def clear(
    grounds: Iterable[Ground],
    tenants: Mapping[str, Tenant],
    budgets: Budgets,
    packer: Packer,
    key: Key,
) -> Clearing | str:
    """Return how to free the GPU `key` of `grounds` as they are by now, or why that cannot be."""
    sources = {key_of(each): each for each in grounds if each.snapshot.layout.keys}
    if key not in sources:
        return "is out of use, or cannot be used now"
    return _cleared(sources[key], tenants, budgets, Rooms(list(sources.values()), packer))


def _cleared(
    ground: Ground, tenants: Mapping[str, Tenant], budgets: Budgets, rooms: Rooms
) -> Clearing | str:
    """Return how to free one GPU, as the set in question of `rooms`; or why that cannot be."""
    source = key_of(ground)
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
        *key_of(ground),
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


def _path(tenant: Tenant) -> str:
    return f"{tenant.pod.namespace}/{tenant.pod.name}"
