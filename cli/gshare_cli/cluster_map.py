"""`gshare map` on a cluster: each GPU of each node as a picture. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from .cluster_state import ClusterView, GpuState, NodeView
from .drawing import Box


@dataclass(frozen=True, slots=True)
class Drawn:
    """One GPU: what stands above its picture, its rectangles, and what is wrong with it."""

    title: str
    boxes: tuple[Box, ...]
    notes: tuple[str, ...] = ()


def drawn(view: ClusterView) -> list[Drawn]:
    """Return every GPU, by node and index."""
    labels = {pod.uid: (pod.name, pod.function) for pod in view.pods}
    return [
        Drawn(
            _title(node, gpu),
            _boxes(gpu, labels),
            (f"{node.name} GPU {gpu.index}: {gpu.conflict}",) if gpu.conflict else (),
        )
        for node in view.nodes
        for gpu in node.gpus
    ]


def troubles(view: ClusterView) -> list[str]:
    """Return one line for each node whose inventory cannot be read."""
    return [f"node {node.name}: {node.trouble}" for node in view.nodes if node.trouble]


def _boxes(gpu: GpuState, labels: dict[str, tuple[str, str]]) -> tuple[Box, ...]:
    return tuple(
        Box(*labels[uid], place.x, place.y, place.width, place.height)
        for uid, place in gpu.snapshot.layout.pieces
    )


def _title(node: NodeView, gpu: GpuState) -> str:
    kind = " (simulated)" if gpu.gpu.is_simulated else ""
    used = f"{gpu.snapshot.layout.used_area / 100:g} % of the rectangle in use"
    return ", ".join(
        [f"{node.name} GPU {gpu.index}: {gpu.gpu.model}{kind}", used, *_state(node, gpu)]
    )


def _state(node: NodeView, gpu: GpuState) -> Sequence[str]:
    state = []
    if not gpu.gpu.is_healthy:
        state.append("not healthy" + (f" ({gpu.gpu.note})" if gpu.gpu.note else ""))
    if not node.is_ready:
        state.append("node not ready")
    elif not node.is_schedulable:
        state.append("node takes no new pods")
    return state
