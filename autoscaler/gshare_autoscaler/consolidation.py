"""Chooses which replica should leave first, so that scaling down frees whole GPUs. Pure.

Idea. A scale-down takes some replicas of one ReplicaSet; which ones is ours to say, by the
annotation `controller.kubernetes.io/pod-deletion-cost` (lowest first). A GPU is freed when the
last pod leaves it, so the GPUs on which the ReplicaSet's replicas lie are put in an order, and all
replicas of one GPU leave before the first of the next. First come the GPUs on which others hold
the least area: where they hold none, this scale-down frees the GPU by itself; where they hold
little, little else has to leave, or to be moved by `gshare defrag`, until it is free. Among equals
the one with the fewest own replicas comes first, since that is soonest done.

Invariant: for every k, the first k replicas of the order free as many GPUs as any k replicas do.
(Only GPUs without others can be freed; taking them by fewest own replicas is the exchange argument
of a greedy choice of equal worth and unequal cost.)

Costs are ranks of GPUs. They are given anew only where those that stand put a replica wrong:
others come and go, and each cost is a write to the API server.

Worked example. ReplicaSet a has two replicas on GPU 1, where nobody else is, one on GPU 2, where
nobody else is, and one on GPU 3 beside others that hold 3,000 of 10,000. Order: GPU 2 (rank 1),
GPU 1 (2, both), GPU 3 (3). Scaling down by one frees GPU 2, by three frees GPU 1 as well.

Source: kubernetes.io/docs/concepts/workloads/controllers/replicaset#pod-deletion-cost. What the
ReplicaSet controller looks at before the cost: pending and not ready replicas leave first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Tenant:
    """A live pod that holds a part of a GPU. `cost` is its annotation's, None without one."""

    uid: str
    group: str
    """The ReplicaSet whose scale-down may take it; empty where none may."""
    gpu: str
    area: int
    """What it holds of the GPU, of 10,000."""
    cost: int | None = None


def costs(tenants: Iterable[Tenant]) -> dict[str, int]:
    """Return the deletion costs to write, by pod UID; nothing of a group that is in order."""
    used: defaultdict[str, int] = defaultdict(int)
    groups: defaultdict[str, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        used[tenant.gpu] += tenant.area
        if tenant.group:
            groups[tenant.group].append(tenant)
    changes: dict[str, int] = {}
    for replicas in groups.values():
        changes |= _of_group(replicas, used)
    return changes


def _of_group(replicas: list[Tenant], used: Mapping[str, int]) -> dict[str, int]:
    """Return what to write so that the replicas of one ReplicaSet leave in the right order."""
    on: defaultdict[str, list[Tenant]] = defaultdict(list)
    for replica in replicas:
        on[replica.gpu].append(replica)
    order = sorted(on.values(), key=lambda there: _far(there, used))
    if _is_in_order(order):
        return {}
    return {
        replica.uid: rank
        for rank, there in enumerate(order, 1)
        for replica in there
        if replica.cost != rank
    }


def _far(there: list[Tenant], used: Mapping[str, int]) -> tuple[int, int, str]:
    """Return how far a GPU is from being free, once the group's replicas `there` leave."""
    gpu = there[0].gpu
    return used[gpu] - sum(replica.area for replica in there), len(there), gpu


def _is_in_order(order: list[list[Tenant]]) -> bool:
    """Tell whether all of each GPU leave before any of the next; without a cost it counts as 0."""
    bounds = [
        (min(costs_there), max(costs_there))
        for costs_there in ([replica.cost or 0 for replica in there] for there in order)
    ]
    return all(before[1] < after[0] for before, after in pairwise(bounds))
