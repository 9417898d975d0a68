"""What a cluster's nodes and pods say of its GPUs, as one picture. Pure.

Everything follows from two annotations: a node's inventory and a pod's placement. Where one of
them cannot be read, the node or pod says so (`trouble`) and all others stay as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gshare import annotations, names
from gshare.annotations import NodeGpu, PodPlacement
from gshare.errors import InputError
from gshare.layout import Layout, Verdicts, settled
from gshare.placement import Snapshot
from gshare.runtime.kube.objects import Node, Pod, pod_json
from gshare.workload import pods
from gshare.workload.values import Shape

from .views import ReplicaState

_ENDING_REASONS = frozenset({"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull"})


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
    asked: Shape | None
    placed: PodPlacement | None
    scheduler: str = ""
    trouble: str = ""
    """What is wrong with what it asks, or with its placement."""

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
    misfits: tuple[str, ...] = ()
    """UIDs that have no room beside the others: somebody wrote a placement by hand."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node. Without GPUs it is none of gshare's, or its agent has not spoken yet."""

    name: str
    is_ready: bool = True
    is_schedulable: bool = True
    gpus: tuple[GpuState, ...] = ()
    offers_resources: bool = True
    """Whether the kubelet has the device plugin's resources."""
    trouble: str = ""
    """Why its inventory cannot be read."""

    def gpu(self, uuid: str) -> GpuState | None:
        """Return the GPU of that UUID."""
        return next((each for each in self.gpus if each.gpu.uuid == uuid), None)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All nodes, and the pods that have to do with GPUs."""

    nodes: tuple[NodeView, ...]
    pods: tuple[PodView, ...]
    verdicts: Verdicts = field(default_factory=Verdicts, compare=False)

    def node(self, name: str) -> NodeView | None:
        """Return the node of that name."""
        return next((each for each in self.nodes if each.name == name), None)

    def gpu_of(self, pod: PodView) -> GpuState | None:
        """Return the GPU that `pod` holds a part of; None if it holds none or it is gone."""
        node = self.node(pod.node)
        return node.gpu(pod.placed.gpu_uuid) if node and pod.placed else None


def cluster_view(nodes: Iterable[Node], pods_: Iterable[Pod]) -> ClusterView:
    """Return the picture that the API's objects give."""
    verdicts = Verdicts()
    seen = [view for pod in pods_ if (view := pod_view(pod)) is not None]
    placed: dict[tuple[str, str], list[PodView]] = {}
    for pod in seen:
        if pod.placed and pod.node:
            placed.setdefault((pod.node, pod.placed.gpu_uuid), []).append(pod)
    views = [_node_view(node, placed, verdicts) for node in nodes]
    return ClusterView(
        tuple(sorted(views, key=lambda view: view.name)),
        tuple(sorted(seen, key=lambda view: view.path)),
        verdicts,
    )


def pod_view(pod: Pod) -> PodView | None:
    """Return what a pod has to do with GPUs; None if it is over, or has nothing to do with them."""
    written = pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT)
    if pod.is_ended:
        return None
    trouble, asked, placed = "", None, None
    try:
        found = pods.asked(pod_json(pod))
        asked = found.shape if found else None
    except InputError as error:
        trouble = str(error)
    if written is not None:
        try:
            placed = annotations.decode_placement(written)
        except ValueError as error:
            trouble = f"{names.ANNOTATION_PLACEMENT} {error}"
    if asked is None and placed is None and not trouble:
        return None
    if asked and placed and _sides(asked) != (placed.sm_percent, placed.quota_percent):
        trouble = f"{names.ANNOTATION_PLACEMENT} says another rectangle than the pod asks for"
    return PodView(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        function=_function(pod),
        node=pod.spec.node_name,
        state=_state(pod),
        asked=asked,
        placed=placed,
        scheduler=pod.spec.scheduler_name,
        trouble=trouble,
    )


def _sides(shape: Shape) -> tuple[int, int]:
    return shape.sm_percent, shape.quota_request_percent


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
        if waiting and waiting.reason not in {"", "ContainerCreating", "PodInitializing"}:
            return waiting.reason
    if pod.status.phase == "Running" and not all(status.ready for status in statuses):
        return ReplicaState.STARTING.value
    if pod.status.phase == "Pending" and pod.spec.node_name:
        return "ContainerCreating"
    return pod.status.phase or ReplicaState.PENDING.value


def _node_view(
    node: Node, placed: Mapping[tuple[str, str], Sequence[PodView]], verdicts: Verdicts
) -> NodeView:
    written = node.metadata.annotations.get(names.ANNOTATION_GPUS)
    trouble = ""
    inventory: tuple[NodeGpu, ...] = ()
    if written is not None:
        try:
            inventory = annotations.decode_inventory(written)
        except ValueError as error:
            trouble = f"{names.ANNOTATION_GPUS} {error}"
    allocatable = node.status.allocatable
    resources = (names.RESOURCE_SM, names.RESOURCE_QUOTA)
    return NodeView(
        name=node.metadata.name,
        is_ready=node.is_ready,
        is_schedulable=not node.spec.unschedulable,
        gpus=tuple(
            _gpu_state(index, gpu, placed.get((node.metadata.name, gpu.uuid), ()), verdicts)
            for index, gpu in enumerate(inventory)
        ),
        offers_resources=all(str(allocatable.get(name, 0)) != "0" for name in resources),
        trouble=trouble,
    )


def _gpu_state(index: int, gpu: NodeGpu, here: Sequence[PodView], verdicts: Verdicts) -> GpuState:
    """Lay out what is on one GPU; pods that do not fit beside the others are misfits."""
    held = {pod.uid: pod.placed for pod in sorted(here, key=lambda pod: pod.path) if pod.placed}
    layout = settled(Layout(), {uid: placed.size for uid, placed in held.items()}, verdicts)
    if layout is None:
        layout = _as_many_as_fit(held, verdicts)
    memory = tuple((uid, held[uid].memory_bytes) for uid in layout.keys)
    misfits = tuple(uid for uid in held if uid not in layout.keys)
    return GpuState(index, gpu, Snapshot(gpu.gpu, layout, memory), misfits)


def _as_many_as_fit(held: Mapping[str, PodPlacement], verdicts: Verdicts) -> Layout:
    layout = Layout()
    for uid, placed in held.items():
        sizes = dict(zip(layout.keys, layout.sizes, strict=True)) | {uid: placed.size}
        layout = settled(layout, sizes, verdicts) or layout
    return layout
