"""The objects of a trial: nodes that only the API knows, pods, and the scheduler's settings."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from benchmarks.packing import mixes
from gshare import annotations, names
from gshare.annotations import NodeGpu

Object = dict[str, Any]

NAMESPACE: Final = "default"
GPUS_PER_NODE: Final = 8
UNITS_PER_GPU: Final = 1600
"""As many of either resource as the node agent offers (its `units_per_gpu`)."""
CLIENT_QPS: Final = 5000
"""Of the scheduler's client, in both cases alike: its default of 50 would hold binds back."""
_H100: Final = ("NVIDIA H100 80GB HBM3", 132, 80 << 30)
_POD_MEMORY: Final = "1Gi"
_SEED: Final = 6


def node(number: int) -> Object:
    """Return a node as its kubelet and gshare's agent would leave it; it is Ready from the start.

    The API server takes a status with a new node, as kubelets register.
    """
    name = f"n{number:05}"
    units = str(GPUS_PER_NODE * UNITS_PER_GPU)
    amounts = {"cpu": "128", "memory": "1Ti", "pods": "1000"} | dict.fromkeys(
        names.RESOURCES, units
    )
    ready = {"type": "Ready", "status": "True", "reason": "Fake", "message": "no kubelet"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name},
            "annotations": {names.ANNOTATION_GPUS: _inventory(number)},
        },
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": [ready]},
    }


def pods(count: int) -> list[Object]:
    """Return the first pods of the *fast* mix, the same in every trial."""
    sizes = islice(mixes.stream(mixes.MIXES["fast"], _SEED), count)
    return [_pod(number, size.width, size.height) for number, size in enumerate(sizes)]


def scheduler_settings(known: Mapping[str, Any], extender: Object | None) -> Object:
    """Return the scheduler's configuration `known` with the extender or none.

    Without it the scheduler counts both resources itself.
    """
    client = {**known["clientConnection"], "qps": CLIENT_QPS, "burst": 2 * CLIENT_QPS}
    settings: Object = {**known, "clientConnection": client}
    settings.pop("extenders", None)
    return settings if extender is None else {**settings, "extenders": [extender]}


def _inventory(number: int) -> str:
    model, sm_count, memory_bytes = _H100
    uuids = (f"GPU-{number:05}-{index}" for index in range(GPUS_PER_NODE))
    return annotations.encode_inventory(
        [NodeGpu(uuid, model, sm_count, memory_bytes, is_simulated=True) for uuid in uuids]
    )


def _pod(number: int, quota: int, sm: int) -> Object:
    limits = {names.RESOURCE_SM: str(sm), names.RESOURCE_QUOTA: str(quota)}
    container = {"name": "server", "image": "none", "resources": {"limits": limits}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"p{number:05}",
            "annotations": {names.ANNOTATION_GPU_MEM: _POD_MEMORY},
        },
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }
