"""`gshare ps` on a cluster: each pod with a rectangle, and what it got. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from gshare.units import memory_text

from . import sharing
from .cluster_metrics import Got, PodKey
from .cluster_state import ClusterView, GpuState, PodView
from .colours import colour_of
from .sharing import Mapped

_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One pod."""

    namespace: str
    pod: str
    function: str
    state: str
    node: str | None
    gpu: int | None
    """Its index among the node's GPUs."""
    gpu_uuid: str | None
    sm_percent: int | None
    quota_request_percent: int | None
    quota_limit_percent: int | None
    delivered_percent: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    private_bytes: int | None
    """The same as `memory_bytes`: what is its own."""
    model: str | None
    """The model whose weights its GPU's store keeps for it, by its name among all namespaces."""
    shared_bytes: int | None
    """What it maps of others' memory, such as the model store's."""
    saved_bytes: int | None
    """What it holds less than with weights of its own (`sharing`)."""
    trouble: str


def rows(view: ClusterView, delivered: Mapping[PodKey, Got]) -> list[Row]:
    """Return a row a pod, in the order of their names.

    What is saved counts the pods that are shown: weights under `shared/` may have more users.
    """
    saved: dict[str, int | None] = {}
    for _, there, mapped in _by_gpu(view, delivered):
        saved |= sharing.saved_bytes(mapped, there.snapshot.resident)
    return [_row(view, pod, delivered, saved.get(pod.uid)) for pod in view.pods]


def gpu_lines(view: ClusterView, delivered: Mapping[PodKey, Got]) -> list[str]:
    """Return a line for each GPU whose model store keeps weights that the pods shown map."""
    found = (
        sharing.gpu_line(
            f"{node}, GPU {there.index}",
            mapped.values(),
            there.snapshot.resident,
            there.gpu.store_bytes or 0,
        )
        for node, there, mapped in _by_gpu(view, delivered)
    )
    return [line for line in found if line]


def _by_gpu(
    view: ClusterView, delivered: Mapping[PodKey, Got]
) -> list[tuple[str, GpuState, dict[str, Mapped]]]:
    """Return each node's GPUs with pods, and what these map, by UID."""
    found: dict[tuple[str, str], tuple[str, GpuState, dict[str, Mapped]]] = {}
    for pod in view.pods:
        there = view.gpu_of(pod)
        if there is None:
            continue
        shared = delivered.get((pod.namespace, pod.name), Got()).shared_bytes
        on_gpu = found.setdefault((pod.node, there.gpu.uuid), (pod.node, there, {}))
        on_gpu[2][pod.uid] = Mapped(_model(pod), shared)
    return list(found.values())


def _model(pod: PodView) -> str | None:
    shared = pod.placed.shared if pod.placed else None
    return shared.within(pod.namespace).name if shared else None


def _row(
    view: ClusterView, pod: PodView, delivered: Mapping[PodKey, Got], saved_bytes: int | None
) -> Row:
    gpu = view.gpu_of(pod)
    placed, asked = pod.placed, pod.asked
    measured = delivered.get((pod.namespace, pod.name), Got())
    return Row(
        namespace=pod.namespace,
        pod=pod.name,
        function=pod.function,
        state=pod.state,
        node=pod.node or None,
        gpu=gpu.index if gpu else None,
        gpu_uuid=placed.gpu_uuid if placed else None,
        sm_percent=placed.sm_percent if placed else asked.sm_percent if asked else None,
        quota_request_percent=(
            placed.quota_percent if placed else asked.quota_request_percent if asked else None
        ),
        quota_limit_percent=pod.quota_limit_percent,
        delivered_percent=measured.percent,
        memory_bytes=measured.memory_bytes,
        memory_limit_bytes=placed.memory_bytes if placed else asked.memory_bytes if asked else None,
        private_bytes=measured.memory_bytes,
        model=_model(pod),
        shared_bytes=measured.shared_bytes,
        saved_bytes=saved_bytes,
        trouble=pod.trouble or _trouble(view, pod),
    )


def _trouble(view: ClusterView, pod: PodView) -> str:
    node = view.node(pod.node)
    if pod.placed and node and not node.trouble and view.gpu_of(pod) is None:
        return f"its GPU {pod.placed.gpu_uuid} is no longer on {pod.node}"
    return "; ".join(refusal_text(key, text) for key, text in pod.refused.items())


def refusal_text(key: str, text: str | None) -> str:
    """Return what is to be said of an annotation that a pod's node refused."""
    said = "that it was removed" if text is None else repr(text)
    return f"its node refused {key}: {said}; its events say why"


def table(found: Sequence[Row], *, with_namespace: bool) -> Table:
    """Return the rows as a table."""
    shares = any(row.model or row.shared_bytes for row in found)
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for heading in (*(("namespace",) if with_namespace else ()), "pod", "state", "node"):
        shown.add_column(heading, no_wrap=True)
    numbers = ("GPU", "SM\n%", "request\n%", "limit\n%", "got\n%", "private\nmemory")
    for heading in (*numbers, *(sharing.HEADINGS if shares else ())):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        first = (escape(row.namespace),) if with_namespace else ()
        last = sharing.cells(row.shared_bytes, row.saved_bytes) if shares else ()
        shown.add_row(*first, *_cells(row), *last)
    return shown


def _cells(row: Row) -> tuple[str, ...]:
    got = _NOTHING if row.delivered_percent is None else f"{row.delivered_percent:.1f}"
    return (
        f"[{colour_of(row.function)}]{escape(row.pod)}[/]",
        escape(row.state),
        escape(row.node or _NOTHING),
        _text(row.gpu),
        _text(row.sm_percent),
        _text(row.quota_request_percent),
        _text(row.quota_limit_percent),
        got,
        f"{_memory(row.memory_bytes)}/{_memory(row.memory_limit_bytes)}",
    )


def _text(value: int | None) -> str:
    return _NOTHING if value is None else str(value)


def _memory(value: int | None) -> str:
    return _NOTHING if value is None else memory_text(value)


def notes(found: Sequence[Row]) -> list[str]:
    """Return one line for each pod with something wrong."""
    return [f"{row.namespace}/{row.pod}: {row.trouble}" for row in found if row.trouble]
