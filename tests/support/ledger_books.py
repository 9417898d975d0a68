"""What a ledger knows, in a form that can be compared with another one and with the truth."""

from collections.abc import Iterable, Mapping

from gshare.annotations import NodeGpu, PodPlacement
from gshare.ledger import Ledger, PlacedPod, Problem, ProblemKind

from . import ledgers

CLIENTS = 3
SHUT = {ProblemKind.CONFLICT, ProblemKind.MEMORY, ProblemKind.CLIENTS, ProblemKind.DOUBLED}
"""What keeps everything new off a GPU."""
LOST_LAYOUT = "no layout is found"
Key = tuple[str, str]
"""A node and the UUID of a GPU."""


def gpu(node: str, index: int, **changes: object) -> NodeGpu:
    """Return a GPU of a node that few pods fill."""
    return ledgers.gpu(f"GPU-{node}-{index}", max_clients=CLIENTS, **changes)


def is_on(pod: PlacedPod, node: str, uuid: str) -> bool:
    """Tell whether a pod stands on a GPU of a node."""
    return (pod.node, pod.placement.gpu_uuid) == (node, uuid)


def shut_by(problems: Iterable[Problem]) -> set[Key]:
    """Return the GPUs that take nothing new."""
    return {(each.node, each.gpu_uuid) for each in problems if each.kind in SHUT}


def holders(ledger: Ledger, node: str, uuid: str) -> dict[str, PodPlacement]:
    """Return who holds a part of a GPU, by UID: the pods seen there, and places that have room."""
    seen = {pod.uid for pod in ledger.placed()}
    held = [
        (each.uid, each.node, each.placement)
        for each in ledger.reservations()
        if not each.victims & seen
    ]
    shown = [(pod.uid, pod.node, pod.placement) for pod in ledger.placed()]
    return {uid: at for uid, on, at in [*shown, *held] if (on, at.gpu_uuid) == (node, uuid)}


def books(ledger: Ledger) -> dict[Key, object]:
    """Return what a ledger knows of every GPU, but for where its pods lie."""
    found: dict[Key, object] = {
        (each.node, each.snapshot.gpu.uuid): (frozenset(each.snapshot.memory), each.units_free)
        for each in ledger.grounds(ledger.nodes())
    }
    for each in ledger.problems():
        is_lost = each.kind is ProblemKind.CONFLICT
        found[each.node, each.gpu_uuid] = LOST_LAYOUT if is_lost else each.kind
    return found


def agree(before: Mapping[Key, object], after: Mapping[Key, object]) -> bool:
    """Tell whether two ledgers know the same, but for layouts that only one of them has found."""
    return all(
        before.get(key) == after.get(key) or LOST_LAYOUT in {before.get(key), after.get(key)}
        for key in {*before, *after}
    )


def left_in(ledger: Ledger) -> dict[str, object]:
    """Return every table of a ledger that has anything in it."""
    tables = {**vars(ledger), **vars(ledger._listings)}
    return {
        name: kept for name, kept in tables.items() if isinstance(kept, dict | set | list) and kept
    }
