"""A cluster as `gshare defrag` sees it: which pods could move, and where to. Pure.

What is read of a pod and a node here goes beyond what others need of them: a pod that is bound to
nodes by a selector, an affinity or a spread constraint is taken to stay on its node, and no pod to
go to a node with a taint that its own does not have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gshare import defrag
from gshare.defrag import Clearing, Plan, Tenant
from gshare.ledger import Ground, PlacedPod
from gshare.modes import Packer
from gshare.placement import Request
from gshare.preemption import Budget
from gshare.runtime.kube.objects import Node, NodeSpec, Pod, PodSpec

from .cluster_state import ClusterView, PodView, cluster_view

# Controllers whose next pod comes to the same node, or whose pod's work would be lost.
_KEEPERS: Final = frozenset({"DaemonSet", "Node", "Job"})
_SOFT: Final = "PreferNoSchedule"
_Hard = tuple[str, str, str]
"""Key, value and effect of a taint that keeps pods off."""


class Taint(msgspec.Struct, frozen=True):
    """What keeps pods off a node."""

    key: str
    effect: str
    value: str = ""


class TaintedSpec(NodeSpec, frozen=True, rename="camel"):
    """What a node is to be, and what keeps pods off it."""

    taints: tuple[Taint, ...] = ()


class TaintedNode(Node, frozen=True, rename="camel"):
    """A node, with its taints."""

    spec: TaintedSpec = msgspec.field(default_factory=TaintedSpec)


class BoundSpec(PodSpec, frozen=True, rename="camel"):
    """What a pod is to be, and what binds it to nodes."""

    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] = ()

    @property
    def is_bound(self) -> bool:
        """Tell whether the pod may not run just anywhere."""
        return bool(self.node_selector or self.affinity or self.topology_spread_constraints)


class BoundPod(Pod, frozen=True, rename="camel"):
    """A pod, with what binds it to nodes."""

    spec: BoundSpec = msgspec.field(default_factory=BoundSpec)

    @property
    def owner(self) -> tuple[str, str]:
        """Return UID and name of the controller that would make it again elsewhere, or nothing."""
        for each in self.metadata.owner_references:
            if each.controller and each.kind not in _KEEPERS:
                return each.uid, f"{each.kind} {each.name}"
        return "", ""

    @property
    def is_ready(self) -> bool:
        """Tell whether all of its containers are."""
        return any(
            each.type == "Ready" and each.status == "True" for each in self.status.conditions
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """The cluster at one moment."""

    view: ClusterView
    pods: Mapping[str, BoundPod]
    """By UID."""
    grounds: tuple[Ground, ...]
    tenants: Mapping[str, Tenant]
    budgets: tuple[Budget, ...]
    packer: Packer

    def plan(self, most: int | None) -> Plan:
        """Return the evictions that would free up to `most` GPUs, or as many as can be."""
        return defrag.plan(self.grounds, self.tenants, self.budgets, self.packer, most)

    def clear(self, node: str, gpu_uuid: str) -> Clearing | str:
        """Return how to free one GPU as things are now, or why that cannot be."""
        key = (node, gpu_uuid)
        return defrag.clear(self.grounds, self.tenants, self.budgets, self.packer, key)

    def on(self, node: str, gpu_uuid: str) -> dict[str, PlacedPod]:
        """Return the pods that hold a part of a GPU, by UID."""
        return {
            pod.uid: pod
            for pod in self.view.ledger.placed()
            if (pod.node, pod.placement.gpu_uuid) == (node, gpu_uuid)
        }

    def in_use(self) -> frozenset[tuple[str, str]]:
        """Return the GPUs on which there is any pod."""
        return frozenset((pod.node, pod.placement.gpu_uuid) for pod in self.view.ledger.placed())

    def successors(self, owner: str, known: frozenset[str]) -> list[PlacedPod]:
        """Return the placed pods of a controller (UID) that are not among `known`."""
        return [
            pod
            for pod in self.view.ledger.placed()
            if pod.uid not in known
            and pod.leaves_at_s is None
            and pod.uid in self.pods
            and self.pods[pod.uid].owner[0] == owner
        ]


def picture(
    nodes: Iterable[TaintedNode], pods: Iterable[BoundPod], budgets: Iterable[Budget]
) -> Picture:
    """Return the picture that the API's objects give; only nodes that take pods take part."""
    given, running = list(nodes), list(pods)
    view = cluster_view(given, running)
    taints = {node.metadata.name: _hard(node) for node in given}
    usable = [each.name for each in view.nodes if each.is_ready and each.is_schedulable]
    by_uid = {pod.metadata.uid: pod for pod in running}
    reach = _reaches({name: taints[name] for name in usable})
    views = {each.uid: each for each in view.pods}
    tenants = {
        pod.uid: _tenant(pod, by_uid[pod.uid], views[pod.uid], reach[pod.node])
        for pod in view.ledger.placed()
        if pod.node in reach and pod.uid in views
    }
    grounds = tuple(view.ledger.grounds(usable))
    return Picture(view, by_uid, grounds, tenants, tuple(budgets), Packer(view.mode))


def _tenant(placed: PlacedPod, pod: BoundPod, seen: PodView, reach: frozenset[str]) -> Tenant:
    asked, at = seen.asked, placed.placement
    memory = asked.memory_bytes if asked else max(1, at.memory_bytes - at.own_weights_bytes)
    quota = max(at.quota_percent, asked.quota_request_percent if asked else 0)
    model = asked.model if asked else at.model
    request = Request(placed.uid, at.sm_percent, quota, memory, model)
    nodes = frozenset({placed.node}) if pod.spec.is_bound else reach
    return Tenant(placed, request, pod.owner[1], nodes)


def _reaches(taints: Mapping[str, frozenset[_Hard]]) -> dict[str, frozenset[str]]:
    """Return by node those that its pods may go to; nodes of the same taints share the answer."""
    known = {
        own: frozenset(name for name, each in taints.items() if each <= own)
        for own in set(taints.values())
    }
    return {name: known[own] for name, own in taints.items()}


def _hard(node: TaintedNode) -> frozenset[_Hard]:
    return frozenset(
        (each.key, each.value, each.effect) for each in node.spec.taints if each.effect != _SOFT
    )
