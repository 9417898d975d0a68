"""The whole picture as JSON, for the command line and the UI: `GET /v1/cluster`."""

from typing import Any

from gshare import modes
from gshare.annotations import NodeGpu
from gshare.ledger import Picture, PlacedPod, Problem, Reservation
from gshare.modes import Timetable
from gshare.placement import Snapshot
from gshare.rectangles import Rectangle


def cluster(picture: Picture, trouble: str) -> dict[str, Any]:
    """Return nodes, GPUs, what lies where, what is held, and what is inconsistent."""
    return {
        "ready": not trouble,
        "trouble": trouble,
        "nodes": [_node(picture, name) for name in picture.nodes()],
        "reservations": [_reservation(each) for each in picture.reservations()],
        "problems": [_problem(picture, each) for each in picture.problems()],
    }


def _node(picture: Picture, name: str) -> dict[str, Any]:
    gpus = zip(picture.inventory(name), picture.snapshots(name), strict=True)
    return {"name": name, "gpus": [_gpu(picture, gpu, snapshot) for gpu, snapshot in gpus]}


def _gpu(picture: Picture, gpu: NodeGpu, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "uuid": gpu.uuid,
        "model": gpu.model,
        "sms": gpu.sm_count,
        "healthy": gpu.is_healthy,
        "simulated": gpu.is_simulated,
        "note": gpu.note,
        "memory": gpu.memory_bytes,
        "memory_free": snapshot.memory_free_bytes,
        "store": gpu.store_bytes,
        "models": [_model(snapshot, name) for name in sorted(snapshot.weights)],
        "clients_free": snapshot.clients_free,
        "used_area": snapshot.layout.used_area,
        "placements": [
            _placement(picture, uid, snapshot.layout, memory) for uid, memory in snapshot.memory
        ],
        "free": [
            {"quota": free.width, "sm": free.height}
            for free in modes.free_sizes(snapshot.layout.profile)
        ],
    }


def _model(snapshot: Snapshot, name: str) -> dict[str, Any]:
    """Return what a GPU is charged for a model, and for which of its placements."""
    return {
        "name": name,
        "memory": snapshot.weights[name],
        "resident": snapshot.resident.get(name, 0),
        "placements": [uid for uid, share in snapshot.shares if share.name == name],
    }


def _placement(picture: Picture, uid: str, layout: Timetable, memory: int) -> dict[str, Any]:
    pod = picture.pod(uid)
    size = modes.sizes_of(layout)[uid]
    return {
        "uid": uid,
        "namespace": pod.namespace if pod else "",
        "pod": pod.name if pod else "",
        "is_reserved": pod is None,
        "is_leaving": isinstance(pod, PlacedPod) and pod.leaves_at_s is not None,
        "priority": pod.priority if isinstance(pod, PlacedPod) else 0,
        "memory": memory,
        "quota": size.width,
        "sm": size.height,
        "pieces": [_rectangle(piece) for key, piece in layout.pieces if key == uid],
    }


def _rectangle(rectangle: Rectangle) -> dict[str, int]:
    return {
        "x": rectangle.x,
        "y": rectangle.y,
        "quota": rectangle.width,
        "sm": rectangle.height,
    }


def _reservation(reservation: Reservation) -> dict[str, Any]:
    placement = reservation.placement
    return {
        "uid": reservation.uid,
        "node": reservation.node,
        "gpu": placement.gpu_uuid,
        "sm": placement.sm_percent,
        "quota": placement.quota_percent,
        "memory": placement.memory_bytes,
        "waits_for": sorted(reservation.victims),
    }


def _problem(picture: Picture, problem: Problem) -> dict[str, Any]:
    pods = [pod for pod in map(picture.pod, problem.pods) if pod]
    return {
        "kind": problem.kind.value,
        "node": problem.node,
        "gpu": problem.gpu_uuid,
        "pods": [f"{pod.namespace}/{pod.name}" for pod in pods],
        "text": problem.text,
    }
