"""Builders of nodes, pods and ledgers: sane by default, so a test shows only what matters to it."""

import dataclasses
from collections.abc import Iterable

from gshare.annotations import NodeGpu, PodPlacement
from gshare.ledger import Candidate, Ledger, NodeRefusal, PlacedPod, Reservation, UnplacedPod
from gshare.models import ModelShare
from gshare.placement import Request

GIB = 2**30
UNITS = 1600
LATER_S = 1e9


def gpu(uuid: str = "GPU-0", **changes: object) -> NodeGpu:
    """Return a V100 with 16 GiB, changed by `changes`."""
    return dataclasses.replace(NodeGpu(uuid, "Tesla V100", 80, 16 * GIB), **changes)


def put_node(ledger: Ledger, name: str, *gpus: NodeGpu, units: int = UNITS) -> None:
    """Have `name` seen, with a GPU `GPU-<name>` where none is given."""
    ledger.put_node(name, gpus or (gpu(f"GPU-{name}"),), units, units)


def ledger_of(nodes: Iterable[str] = ("a",)) -> Ledger:
    """Return a ledger that has seen `nodes`, each with one GPU."""
    ledger = Ledger()
    for name in nodes:
        put_node(ledger, name)
    return ledger


def placed(
    name: str = "p",
    node: str = "a",
    quota: int = 40,
    sm: int = 12,
    memory: int = GIB,
    **changes: object,
) -> PlacedPod:
    """Return a pod on the node's GPU `GPU-<node>`; `gpu` among `changes` names another one."""
    uuid = str(changes.pop("gpu", f"GPU-{node}"))
    pod = PlacedPod(name, "team", name, node, PodPlacement(uuid, sm, quota, memory))
    return dataclasses.replace(pod, **changes)


def sharing(pod: PlacedPod, model: ModelShare | None) -> PlacedPod:
    """Return `pod` with a model whose weights its GPU's store keeps."""
    return dataclasses.replace(pod, placement=dataclasses.replace(pod.placement, model=model))


def unplaced(name: str = "p", node: str = "a", units: int = 100) -> UnplacedPod:
    """Return a pod without a placement."""
    return UnplacedPod(name, "team", name, node, units, units, "has no placement")


def asks(name: str = "new", quota: int = 40, sm: int = 12, memory: int | None = GIB) -> Request:
    """Return what a pod asks."""
    return Request(name, sm, quota, memory)


def reservation(
    name: str = "p", node: str = "a", quota: int = 40, sm: int = 12, **changes: object
) -> Reservation:
    """Return a reservation that lasts, on the node's GPU `GPU-<node>`."""
    held = Reservation(name, node, PodPlacement(f"GPU-{node}", sm, quota, GIB), LATER_S)
    return dataclasses.replace(held, **changes)


def reserve_best(ledger: Ledger, request: Request, nodes: Iterable[str] | None = None) -> str:
    """Reserve the best place for `request`; return "node/GPU", or the reason of the first node."""
    ranking = ledger.rank(request, ledger.nodes() if nodes is None else nodes, 16)
    if not ranking.candidates:
        return next(iter(ranking.refusals.values())).value
    best = ranking.candidates[0]
    placement = best.placement(request)
    ledger.reserve(Reservation(request.key, best.node, placement, LATER_S))
    return f"{best.node}/{best.gpu_uuid}"


def fit(ledger: Ledger, request: Request, node: str = "a") -> str:
    """Return the GPU on which `request` fits, or the text of the refusal."""
    answer: Candidate | NodeRefusal = ledger.fit(request, node)
    return answer.text if isinstance(answer, NodeRefusal) else answer.gpu_uuid
