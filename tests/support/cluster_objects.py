"""Builders of nodes and pods as the API server has them, with sane defaults."""

from typing import Any

from gshare import annotations, names
from gshare.annotations import NodeGpu, PodPlacement

GIB = 2**30


def gpu(uuid: str = "GPU-1", **more: Any) -> NodeGpu:
    """Return a healthy simulated V100."""
    given = {"model": "V100", "sm_count": 80, "memory_bytes": 16 * GIB, "is_simulated": True}
    return NodeGpu(uuid=uuid, **(given | more))


def node(name: str = "n1", *gpus: NodeGpu, **more: Any) -> dict[str, Any]:
    """Return a ready node; with GPUs, also its inventory and resources."""
    written = {names.ANNOTATION_GPUS: annotations.encode_inventory(gpus)} if gpus else {}
    offered = str(1600 * len(gpus))
    return {
        "metadata": {"name": name, "annotations": written | more.get("annotations", {})},
        "spec": {"unschedulable": True} if more.get("cordoned") else {},
        "status": {
            "allocatable": {names.RESOURCE_SM: offered, names.RESOURCE_QUOTA: offered},
            "conditions": [{"type": "Ready", "status": more.get("ready", "True")}],
        }
        | more.get("status", {}),
    }


def pod(name: str = "web-0", sm: int = 12, quota: int = 40, **more: Any) -> dict[str, Any]:
    """Return a pod that asks for a rectangle; with `on` (node) and `gpu` (UUID) it has one."""
    written = dict(more.get("annotations", {}))
    if "gpu" in more:
        model, own = more.get("model"), more.get("has_own_weights", False)
        placed = PodPlacement(more["gpu"], sm, quota, more.get("memory", GIB), model, own)
        written[names.ANNOTATION_PLACEMENT] = annotations.encode_placement(
            placed, more.get("mode", "")
        )
    limits = {names.RESOURCE_SM: str(sm), names.RESOURCE_QUOTA: str(quota)}
    return {
        "metadata": {
            "name": name,
            "namespace": more.get("namespace", "team"),
            "uid": f"uid-of-{name}",
            "annotations": written,
            "labels": more.get("labels", {}),
            **({"creationTimestamp": more["created"]} if "created" in more else {}),
        },
        "spec": {
            "nodeName": more.get("on", ""),
            "schedulerName": more.get("scheduler", "default-scheduler"),
            "containers": [{"name": "main", "resources": {"limits": more.get("limits", limits)}}],
        },
        "status": {"phase": "Running" if more.get("on") else "Pending"} | more.get("status", {}),
    }
