"""Pods with a rectangle and a placement, as the API has them: sane unless a test says otherwise."""

from typing import Any

from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, encode_placement
from gshare.models import ModelShare

GIB = 2**30
GPU = "GPU-11111111-1111-1111-1111-111111111111"


def node_gpu(uuid: str = GPU, **changes: Any) -> NodeGpu:
    """Return a V100 of a node's inventory."""
    whole = {"model": "V100", "sm_count": 80, "memory_bytes": 16 * GIB, "is_simulated": True}
    return NodeGpu(uuid=uuid, **{**whole, **changes})


def pod(  # noqa: PLR0913 (each has a default)
    name: str = "resnet-0",
    *,
    sm: int = 12,
    quota: int = 40,
    node: str = "node-a",
    uid: str | None = None,
    annotations: dict[str, str] | None = None,
    gpu: str = GPU,
    memory: int = GIB,
    model: ModelShare | None = None,
) -> dict[str, Any]:
    """Return a pod of namespace `team` that was placed; `annotations` are set over the usual."""
    placed = encode_placement(PodPlacement(gpu, sm, quota, memory, model))
    limits = {names.RESOURCE_SM: str(sm), names.RESOURCE_QUOTA: str(quota)}
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": uid or f"{abs(hash(name)):016x}-0000",
            "labels": {names.LABEL_FUNCTION: "resnet"},
            "annotations": {names.ANNOTATION_PLACEMENT: placed, **(annotations or {})},
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "server", "resources": {"limits": limits, "requests": limits}}],
        },
        "status": {"phase": "Running"},
    }
