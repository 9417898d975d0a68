"""What a cluster's nodes and pods say of its GPUs, as one picture. Pure.

Read and judged by the extender's own modules, so that what is shown is what it would decide.
Where a node's inventory or a pod's placement cannot be read, that node or pod says so (`trouble`)
and all others stay as they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gshare import modes, names, terms
from gshare.annotations import NodeGpu, PodPlacement, Standing, decode_mode
from gshare.errors import InputError
from gshare.ledger import PlacedPod, ProblemKind, UnplacedPod
from gshare.modes import MODES, RECT, Mode, Packer
from gshare.placement import Snapshot
from gshare.runtime.kube.objects import Node, Pod, pod_json
from gshare.workload import pods
from gshare.workload.values import Shape
from gshare_extender import reading

from .views import ReplicaState

if TYPE_CHECKING:
    from gshare.ledger import Ledger

_BEING_MADE = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod that asks for a rectangle or holds one."""

    namespace: str
    name: str
    uid: str
    function: str
    """Which pods share a colour: the function's label, else the workload that made the pod."""
    node: str
    state: str
    asked: Shape | None = None
    """With its model as one of its namespace."""
    placed: PodPlacement | None = None
    """With the terms that are in force."""
    quota_limit_percent: int | None = None
    refused: Mapping[str, str | None] = field(default_factory=dict)
    """Annotations that its node refused; None where it refused that one was removed."""
    scheduler: str = ""
    trouble: str = ""
    """Why it cannot hold a rectangle."""

    @property
    def path(self) -> str:
        """Return namespace and name as one."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU of a node, and the pods on it; `snapshot` has them by UID."""

    index: int
    gpu: NodeGpu
    snapshot: Snapshot
    conflict: str = ""
    """Why what stands there does not go together; then some of it is not in the snapshot."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node. Without GPUs it is none of gshare's, or its agent has not spoken yet."""

    name: str
    is_ready: bool = True
    is_schedulable: bool = True
    gpus: tuple[GpuState, ...] = ()
    trouble: str = ""
    """Why its inventory cannot be read."""
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """The terms of its pods that differ from their placements, by UID."""

    def gpu(self, uuid: str) -> GpuState | None:
        """Return the GPU of that UUID."""
        return next((each for each in self.gpus if each.gpu.uuid == uuid), None)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All nodes, the pods that have to do with GPUs, and the ledger that judges them."""

    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    ledger: "Ledger" = field(default_factory=lambda: _ledger(RECT), compare=False)
    mode: Mode[Any] = RECT
    """How its functions share GPUs: what the extender would go by (`cluster_view`)."""
    _by_name: dict[str, NodeView] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the nodes."""
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    def node(self, name: str) -> NodeView | None:
        """Return the node of that name."""
        return self._by_name.get(name)

    def gpu_of(self, pod: PodView) -> GpuState | None:
        """Return the GPU that `pod` holds a part of; None if it holds none or it is gone."""
        node = self.node(pod.node)
        return node.gpu(pod.placed.gpu_uuid) if node and pod.placed else None


def cluster_view(nodes: Iterable[Node], pods_: Iterable[Pod]) -> ClusterView:
    """Return the picture that the API's objects give.

    The extender's mode is the one that it has written into the placement of the pod that was made
    last: where nothing is placed yet, both would place the next pod alike.
    """
    nodes, pods_ = tuple(nodes), tuple(pods_)
    return _in_mode(nodes, pods_, _mode(pods_))


def _mode(pods_: Iterable[Pod]) -> Mode[Any]:
    """Return the mode that the placement of the youngest pod names, of those that name one."""
    named = [
        (pod.metadata.creation_timestamp or "", pod.metadata.uid, mode)
        for pod in pods_
        if (mode := MODES.get(decode_mode(_placement_text(pod)))) and pod.spec.node_name
    ]
    return max(named, key=lambda each: each[:2])[2] if named else RECT


def _placement_text(pod: Pod) -> str:
    return pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT, "")


def _ledger(mode: Mode[Any]) -> "Ledger":
    """Return an empty ledger; with it comes numpy, which commands about no cluster do without."""
    from gshare.ledger import Ledger  # noqa: PLC0415 (late, see above)

    return Ledger(Packer(mode))


def _conflicts(ledger: "Ledger") -> dict[tuple[str, str], str]:
    """Return why what stands on a GPU does not go together, by node and UUID."""
    return {
        (problem.node, problem.gpu_uuid): problem.text
        for problem in ledger.problems()
        if problem.kind is ProblemKind.CONFLICT
    }


def _in_mode(nodes: Iterable[Node], pods_: Iterable[Pod], mode: Mode[Any]) -> ClusterView:
    ledger = _ledger(mode)
    views = []
    by_name = {node.metadata.name: node for node in nodes}
    offers = {name: reading.offer(node) for name, node in by_name.items()}
    for name, offer in offers.items():
        ledger.put_node(name, offer.inventory, *offer.units, offer.trouble)
        ledger.put_terms(name, offer.standings)
        ledger.put_resident(name, offer.resident)
    for pod in pods_:
        seen = reading.observed(pod)
        if seen is not None:
            ledger.put(seen)
        offer_there = offers.get(pod.spec.node_name)
        view = _pod_view(pod, seen, offer_there.standings if offer_there else {})
        if view is not None:
            views.append(view)
    conflicts = _conflicts(ledger)
    return ClusterView(
        tuple(
            NodeView(
                name,
                by_name[name].is_ready,
                not by_name[name].spec.unschedulable,
                _gpu_states(name, ledger, conflicts, mode),
                offers[name].trouble,
                offers[name].standings,
            )
            for name in sorted(by_name)
        ),
        tuple(sorted(views, key=lambda view: view.path)),
        ledger,
        mode,
    )


def pod_view(pod: Pod, standings: Mapping[str, Standing] = MappingProxyType({})) -> PodView | None:
    """Return what a pod has to do with GPUs; None if it is over, or has nothing to do with them.

    `standings` are those of its node.
    """
    return _pod_view(pod, reading.observed(pod), standings)


def _pod_view(
    pod: Pod, seen: PlacedPod | UnplacedPod | None, standings: Mapping[str, Standing]
) -> PodView | None:
    if pod.is_ended or not reading.asks(pod):
        return None
    asked, trouble = _asked(pod)
    if seen is not None:
        trouble = seen.text if isinstance(seen, UnplacedPod) else ""
    standing = standings.get(pod.metadata.uid)
    limit = asked.quota_limit_percent if asked else None
    return PodView(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        function=_function(pod),
        node=pod.spec.node_name,
        state=_state(pod),
        asked=asked,
        placed=terms.in_force(seen.placement, standing) if isinstance(seen, PlacedPod) else None,
        quota_limit_percent=standing.terms.quota_limit_percent if standing else limit,
        refused=standing.refused if standing else {},
        scheduler=pod.spec.scheduler_name,
        trouble=trouble,
    )


def _asked(pod: Pod) -> tuple[Shape | None, str]:
    """Return what a pod asks, or what is wrong with that."""
    try:
        found = pods.asked(pod_json(pod))
    except InputError as error:
        return None, f"{error.field}: {error.value!r}: {error.problem}"
    if found is None:
        return None, ""
    model = found.shape.model
    return replace(found.shape, model=model and model.within(pod.metadata.namespace)), ""


def _function(pod: Pod) -> str:
    owners = [owner.name for owner in pod.metadata.owner_references if owner.controller]
    owner = owners[0] if owners else pod.metadata.name
    template = pod.metadata.labels.get("pod-template-hash")
    if template and owner.endswith(f"-{template}"):
        owner = owner.removesuffix(f"-{template}")
    return pod.metadata.labels.get(names.LABEL_FUNCTION) or owner


def _state(pod: Pod) -> str:
    """Return where a pod is in its life, in the words of `kubectl get pods`."""
    if pod.metadata.deletion_timestamp:
        return ReplicaState.TERMINATING.value
    statuses = pod.status.container_statuses
    for status in (*pod.status.init_container_statuses, *statuses):
        waiting = status.state.waiting
        if waiting and waiting.reason not in _BEING_MADE:
            return waiting.reason
    if pod.status.phase == "Running" and not all(status.ready for status in statuses):
        return ReplicaState.STARTING.value
    if pod.status.phase == "Pending" and pod.spec.node_name:
        return "ContainerCreating"
    return pod.status.phase or ReplicaState.PENDING.value


def _gpu_states(
    node: str, ledger: "Ledger", conflicts: Mapping[tuple[str, str], str], mode: Mode[Any]
) -> tuple[GpuState, ...]:
    states = []
    offered = zip(ledger.inventory(node), ledger.snapshots(node), strict=True)
    for index, (gpu, snapshot) in enumerate(offered):
        conflict = conflicts.get((node, gpu.uuid), "")
        shown = _as_many_as_fit(node, gpu, ledger, mode) if conflict else snapshot
        states.append(GpuState(index, gpu, shown, conflict))
    return tuple(states)


def _as_many_as_fit(node: str, gpu: NodeGpu, ledger: "Ledger", mode: Mode[Any]) -> Snapshot:
    """Return what can be drawn of a GPU whose placements conflict."""
    held = {
        pod.uid: pod.placement
        for pod in sorted(ledger.placed(), key=lambda pod: (pod.namespace, pod.name))
        if (pod.node, pod.placement.gpu_uuid) == (node, gpu.uuid)
    }
    layout, packer = mode.empty, Packer(mode)
    for uid, placed in held.items():
        sizes = modes.sizes_of(layout) | {uid: placed.size}
        layout = packer.settled(layout, sizes) or layout
    memory = tuple((uid, held[uid].memory_bytes) for uid in layout.keys)
    shares = tuple((uid, model) for uid in layout.keys if (model := held[uid].shared))
    return Snapshot(gpu.gpu, layout, memory, shares)
