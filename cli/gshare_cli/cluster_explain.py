"""`gshare explain POD`: why a pod is pending, or what it holds, in words. Pure.

A pending pod gets a line for each node with GPUs, the nearest first: what its nearest GPU lacks.
Then comes what the scheduler said, since it also weighs taints, affinities, cpu and memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gshare import placement, shortage
from gshare.annotations import PodPlacement
from gshare.ledger import Candidate, NodeRefusal, RefusalKind
from gshare.models import ModelShare
from gshare.modes import Packer
from gshare.placement import Request
from gshare.runtime.kube.objects import Event, Pod
from gshare.shortage import Shortage
from gshare.units import memory_text
from gshare.workload.values import Shape

from .cluster_ps import refusal_text
from .cluster_state import ClusterView, GpuState, NodeView, PodView, pod_view

MOST_EVENTS: Final = 5
MOST_NODES: Final = 20
_Distance = tuple[bool, bool, int, int]
_FAR: Final[_Distance] = (True, True, 1000, 0)
_OF_THE_NODE: Final = {
    RefusalKind.NO_GPU: "its kubelet offers none of gshare's resources: does the node agent run?",
    RefusalKind.UNITS: "its kubelet has too few of gshare's units left: delete pods without room",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What one node says, and how far it is from having room."""

    node: str
    text: str
    distance: tuple[int, _Distance]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is to be said of one pod."""

    headline: str
    lines: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


def explain(pod: Pod, view: ClusterView | str, events: Sequence[Event]) -> Explanation:
    """Return why `pod` is where it is; `view` is a text where the GPUs cannot be seen: why not."""
    path = f"{pod.metadata.namespace}/{pod.metadata.name}"
    node = view.node(pod.spec.node_name) if isinstance(view, ClusterView) else None
    seen = pod_view(pod, node.standings if node else {})
    is_placed = seen is not None and bool(seen.node)
    said = tuple(_event_lines(events, only_warnings=is_placed))
    if pod.is_ended:
        reason = f" ({pod.status.reason})" if pod.status.reason else ""
        headline = f"{path} is over: {pod.status.phase}{reason}; it holds nothing"
    elif seen is None:
        headline = f"{path} asks for no rectangle of a GPU"
    elif seen.trouble:
        where = f" on {seen.node}" if seen.node else ""
        headline = f"{path} is {seen.state}{where} and cannot hold a rectangle: {seen.trouble}"
    else:
        return _placed_or_pending(pod, seen, view, said)
    return Explanation(headline, (), said)


def _placed_or_pending(
    pod: Pod, seen: PodView, view: ClusterView | str, said: tuple[str, ...]
) -> Explanation:
    headline = _holding(seen) if seen.node else _pending(seen)
    if isinstance(view, str):
        return Explanation(headline, (f"the GPUs are unknown: {view}",), said)
    if seen.node:
        return Explanation(headline, tuple(_held(pod, seen, view)), said)
    return Explanation(headline, tuple(_why_pending(seen, view)), said or _silence(seen))


def _holding(pod: PodView) -> str:
    return f"{pod.path} is {pod.state} on {pod.node} and holds a rectangle"


def _pending(pod: PodView) -> str:
    asked = _asked_text(pod.asked) if pod.asked else "nothing"
    return f"{pod.path} is {pod.state} without a node; it asks for {asked}"


def _asked_text(shape: Shape) -> str:
    request = _request("", shape)
    asks = [placement.size_text(request.size)]
    if shape.memory_bytes is not None:
        asks.append(f"{memory_text(shape.memory_bytes)} of memory")
    if shape.model is not None:
        asks.append(f"the model {_model_text(shape.model)}")
    return " and ".join(asks)


def _model_text(model: ModelShare) -> str:
    """Return a model as people know it, with the size of its weights where that is announced."""
    return model.name if model.size_bytes is None else f"{model.name} ({_weights_text(model)})"


def _weights_text(model: ModelShare) -> str:
    size = model.size_bytes
    return "weights of a size not announced" if size is None else f"{memory_text(size)} of weights"


def _request(key: str, shape: Shape) -> Request:
    return Request(
        key, shape.sm_percent, shape.quota_request_percent, shape.memory_bytes, shape.model
    )


def _why_pending(pod: PodView, view: ClusterView) -> list[str]:
    if pod.asked is None:
        return []
    request = _request(pod.uid, pod.asked)
    found = [_line(node, request, view) for node in view.nodes if node.gpus or node.trouble]
    nearest = sorted(found, key=lambda each: (each.distance, each.node))
    lines = [f"{line.node}: {line.text}" for line in nearest[:MOST_NODES]]
    if len(nearest) > MOST_NODES:
        lines.append(f"{len(nearest) - MOST_NODES} further nodes with GPUs lack as much or more")
    others = len(view.nodes) - len(found)
    if others:
        lines.append(f"{others} other node{'s have' if others > 1 else ' has'} no GPUs")
    return lines or ["the cluster has no nodes"]


def _line(node: NodeView, request: Request, view: ClusterView) -> Line:
    """Return what one node lacks, or that it has room."""
    if node.trouble:
        return Line(node.name, f"its GPUs are unknown: {node.trouble}", (3, _FAR))
    verdict = view.ledger.fit(request, node.name)
    away = _away(node)
    if isinstance(verdict, Candidate):
        gpu = node.gpu(verdict.gpu_uuid)
        room = f"GPU {gpu.index if gpu else verdict.gpu_uuid} has room"
        if away:
            return Line(node.name, f"{room}, but {away}", (1, _FAR))
        return Line(node.name, f"{room}: what else keeps it away is below", (0, _FAR))
    text, distance = _refusal(node, request, verdict, view)
    return Line(node.name, f"{text}; and {away}" if away else text, (2 if away else 1, distance))


def _refusal(
    node: NodeView, request: Request, verdict: NodeRefusal, view: ClusterView
) -> tuple[str, _Distance]:
    """Return what the nearest GPU lacks, and how far it is; or what the whole node lacks."""
    if verdict.kind in _OF_THE_NODE:
        return _OF_THE_NODE[verdict.kind], _FAR
    packer = Packer(view.mode)
    lacking = [
        (gpu, lack)
        for gpu in node.gpus
        if not gpu.conflict and (lack := shortage.of(gpu.snapshot, request, packer))
    ]
    if not lacking:
        conflicts = [f"GPU {gpu.index}: {gpu.conflict}" for gpu in node.gpus if gpu.conflict]
        return conflicts[0] if conflicts else verdict.text, _FAR
    gpu, lack = min(lacking, key=lambda each: each[1].distance)
    return _lack_text(gpu, lack, len(node.gpus)), lack.distance


def _lack_text(gpu: GpuState, lack: Shortage, count: int) -> str:
    kind = f"{gpu.gpu.model} (simulated)" if gpu.gpu.is_simulated else gpu.gpu.model
    nearest = f", the nearest of {count}" if count > 1 else ""
    note = f" ({gpu.gpu.note})" if gpu.gpu.note and not gpu.gpu.is_healthy else ""
    return f"GPU {gpu.index}, {kind}{nearest}: {lack.text}{note}"


def _away(node: NodeView) -> str:
    """Return why the node itself takes no pod now; empty if it does."""
    if not node.is_ready:
        return "the node is not ready"
    if not node.is_schedulable:
        return "the node is cordoned"
    return ""


def _held(pod: Pod, seen: PodView, view: ClusterView) -> list[str]:
    placed = seen.placed
    if placed is None:
        return []
    node, gpu = view.node(seen.node), view.gpu_of(seen)
    lines = [_gpu_line(placed, gpu, node)]
    limit = f", may borrow idle time up to {seen.quota_limit_percent} %"
    lines.append(
        f"rectangle: {placement.size_text(placed.size)}"
        + (limit if seen.quota_limit_percent else "")
    )
    lines.append(f"memory: at most {memory_text(placed.memory_bytes)}")
    if placed.model is not None:
        lines.append(_held_model(placed, placed.model, gpu))
    lines += [refusal_text(key, text) for key, text in seen.refused.items()]
    lines.append("phase of the window: the node's own; it may change when pods come and go")
    if gpu and gpu.conflict:
        lines.append(f"the GPU's placements conflict: {gpu.conflict}")
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = status.state.waiting
        if waiting and waiting.reason:
            lines.append(f"container {status.name}: {waiting.reason} {waiting.message}".rstrip())
    return lines


def _held_model(placed: PodPlacement, model: ModelShare, gpu: GpuState | None) -> str:
    """Return whose memory the weights of a placed pod's model are in."""
    if placed.has_own_weights:
        where = "in its memory, as there was no model store when it was placed"
        return f"model: {model.name}, {_weights_text(model)} {where}"
    sharers = sum(each.name == model.name for _, each in gpu.snapshot.shares) if gpu else 1
    counted = gpu.snapshot.weights.get(model.name, 0) if gpu else 0
    others = {0: "nobody yet", 1: "1 other pod"}.get(sharers - 1, f"{sharers - 1} other pods")
    weights = f"{memory_text(counted)} of weights, which count once on this GPU"
    return f"model: {model.name}, {weights}: shared with {others}"


def _gpu_line(placed: PodPlacement, gpu: GpuState | None, node: NodeView | None) -> str:
    if gpu is None:
        why = "its node is gone" if node is None else node.trouble or "it is no longer on the node"
        return f"GPU: {placed.gpu_uuid}: {why}"
    kind = " (simulated)" if gpu.gpu.is_simulated else ""
    health = "" if gpu.gpu.is_healthy else f", not healthy {gpu.gpu.note}".rstrip()
    return f"GPU: {gpu.index}, {gpu.gpu.model}{kind}, {placed.gpu_uuid}{health}"


def _silence(pod: PodView) -> tuple[str, ...]:
    return (f"no scheduler has said anything: does the scheduler {pod.scheduler!r} run?",)


def _event_lines(events: Sequence[Event], *, only_warnings: bool) -> list[str]:
    """Return the last few events, the newest first; all went well in those that do not warn."""
    told = [event for event in events if event.type == "Warning" or not only_warnings]
    newest = sorted(told, key=lambda event: event.last_time, reverse=True)
    return [_event_line(event) for event in newest[:MOST_EVENTS]]


def _event_line(event: Event) -> str:
    count = f" ({event.count} times)" if event.count > 1 else ""
    when = event.last_time[:19].replace("T", " ")
    return f"{when} {event.reason}: {' '.join(event.note.split())}{count}"
