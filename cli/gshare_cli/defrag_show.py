"""`gshare defrag` on a cluster: read, plan, print; with `--apply`, act."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gshare.defrag import Clearing, Move, Plan
from gshare.placement import size_text
from gshare.runtime.kube import ApiServer, list_all
from gshare.units import memory_text
from gshare_extender.writer import Writer

from . import cluster_reading
from .defrag_picture import BoundPod, Picture, TaintedNode, picture
from .defrag_run import Ending, Mover, Outcome

_WIDEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    most: int | None = None
    """How many GPUs to free at most; None for as many as can be."""
    patience_s: float = 300.0
    as_json: bool = False


def read(api: ApiServer) -> Picture:
    """Return the cluster as it is now."""
    with cluster_reading.asking(api):
        nodes = list_all(api, "/api/v1/nodes", TaintedNode).items
        pods = list_all(api, "/api/v1/pods", BoundPod, cluster_reading.NOT_OVER).items
        return picture(nodes, pods, Writer(api).budgets())


def plan(api: ApiServer, wanted: Wanted, out: Console) -> None:
    """Print the evictions that would free GPUs, and what they cost."""
    seen = read(api)
    found = seen.plan(wanted.most)
    if wanted.as_json:
        out.print_json(json.dumps(_plan_json(found, seen)))
    else:
        _print_plan(found, seen, out)


def apply(api: ApiServer, wanted: Wanted, out: Console, err: Console) -> bool:
    """Free GPUs, and tell how far it went; return whether all of the plan was done."""

    def tell(text: str) -> None:
        err.print(f"gshare: {escape(text)}", highlight=False, soft_wrap=True)

    seen = read(api)
    found = seen.plan(wanted.most)
    mover = Mover(lambda: read(api), Writer(api), tell, wanted.patience_s)
    outcomes: list[Outcome] = []
    try:
        for outcome in mover.free_all(found.clearings):
            outcomes.append(outcome)
            tell(_outcome_text(outcome))
    finally:
        _print_summary(outcomes, found, out, as_json=wanted.as_json)
    return len(outcomes) == len(found.clearings) and all(map(_is_freed, outcomes))


def _print_plan(found: Plan, seen: Picture, out: Console) -> None:
    for number, clearing in enumerate(found.clearings, 1):
        out.print(f"[bold]{number}. {escape(_clearing_text(clearing, seen))}[/]", soft_wrap=True)
        table = _table(clearing, seen)
        widest = out.measure(table, options=out.options.update(width=_WIDEST)).maximum
        out.width = max(out.width, widest)
        out.print(table)
    out.print(_total_text(found), highlight=False, soft_wrap=True)
    for kept in found.kept:
        text = f"{kept.node} {_gpu_text(seen, kept.node, kept.gpu_uuid)} stays: {kept.reason}"
        out.print(f"  {escape(text)}", highlight=False, soft_wrap=True)


def _clearing_text(clearing: Clearing, seen: Picture) -> str:
    return (
        f"{clearing.node} {_gpu_text(seen, clearing.node, clearing.gpu_uuid)}: "
        f"{_count(len(clearing.moves), 'eviction')}, {clearing.area / 100:g} % of a GPU, "
        f"{memory_text(clearing.memory_bytes)}, priority up to {clearing.priority}"
    )


def _table(clearing: Clearing, seen: Picture) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("pod", "owner", "rectangle", "memory", "priority", "room on"):
        table.add_column(head, no_wrap=True)
    for move in clearing.moves:
        placed = move.pod.placement
        cells = (
            f"{move.pod.namespace}/{move.pod.name}",
            move.owner,
            size_text(placed.size),
            memory_text(placed.memory_bytes),
            str(move.pod.priority),
            f"{move.node} {_gpu_text(seen, move.node, move.gpu_uuid)}",
        )
        table.add_row(*map(escape, cells))
    return table


def _total_text(found: Plan) -> str:
    if not found.clearings:
        return "no GPU can be freed by moving its pods to others in use"
    evictions = _count(found.evictions, "eviction")
    freed = _count(len(found.clearings), "GPU")
    return (
        f"{evictions} would free {freed} of {len(found.clearings) + len(found.kept)} in use: "
        f"{found.freed_per_eviction:.2f} an eviction; `gshare defrag --apply` does it"
    )


def _gpu_text(seen: Picture, node: str, uuid: str) -> str:
    view = seen.view.node(node)
    gpu = view.gpu(uuid) if view else None
    return f"GPU {gpu.index}" if gpu else uuid


def _plan_json(found: Plan, seen: Picture) -> dict[str, Any]:
    return {
        "in_use": len(seen.in_use()),
        "freed": len(found.clearings),
        "evictions": found.evictions,
        "freed_per_eviction": found.freed_per_eviction,
        "gpus": [_clearing_json(each) for each in found.clearings],
        "kept": [asdict(each) for each in found.kept],
    }


def _clearing_json(clearing: Clearing) -> dict[str, Any]:
    return {
        "node": clearing.node,
        "gpu_uuid": clearing.gpu_uuid,
        "area_percent": clearing.area / 100,
        "memory_bytes": clearing.memory_bytes,
        "priority": clearing.priority,
        "moves": [_move_json(move) for move in clearing.moves],
    }


def _move_json(move: Move) -> dict[str, Any]:
    pod = move.pod
    return {
        "namespace": pod.namespace,
        "pod": pod.name,
        "uid": pod.uid,
        "owner": move.owner,
        "priority": pod.priority,
        "sm_percent": pod.placement.sm_percent,
        "quota_percent": pod.placement.quota_percent,
        "memory_bytes": pod.placement.memory_bytes,
        "to_node": move.node,
        "to_gpu_uuid": move.gpu_uuid,
    }


def _is_freed(outcome: Outcome) -> bool:
    return outcome.ending is Ending.FREED


def _outcome_text(outcome: Outcome) -> str:
    where = f"{outcome.node}/{outcome.gpu_uuid}"
    if _is_freed(outcome):
        return f"{where} is free"
    return f"{where} is not freed ({outcome.ending}): {outcome.text}"


def _print_summary(outcomes: list[Outcome], found: Plan, out: Console, *, as_json: bool) -> None:
    freed, evicted = sum(map(_is_freed, outcomes)), sum(len(each.moved) for each in outcomes)
    if as_json:
        summary = {
            "planned": len(found.clearings),
            "freed": freed,
            "moved": evicted,
            "gpus": [asdict(each) for each in outcomes],
        }
        out.print_json(json.dumps(summary))
        return
    planned = _count(len(found.clearings), "GPU")
    out.print(
        f"freed {freed} of {planned} that the plan names; moved {_count(evicted, 'pod')}",
        highlight=False,
        soft_wrap=True,
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
