"""A cluster as the API lists it: 5,000 nodes of 8 GPUs, 12,500 of them full of the *fast* mix."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.packing import mixes
from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, encode_inventory, encode_placement
from gshare.layout import Layout
from gshare.rectangles import Rectangle, Size

NODES: Final = 5000
GPUS: Final = 8
OCCUPIED: Final = 12_500
PAGE: Final = 500
_OPEN: Final = 4
"""GPUs that are filled at once: each size goes to the first of them that has room."""
_MEMORY_BYTES: Final = 80 * 2**30
_POD_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Written:
    """Where the pages of both lists are, and how much they hold."""

    folder: Path
    pods: int
    used_area: int


def node_names() -> list[str]:
    """Return the nodes, as long as names of a cloud are."""
    return [f"node-{index:05d}.europe-west1.compute.internal" for index in range(NODES)]


def write(folder: Path) -> Written:
    """Write the pages of the nodes and the pods as the API server would list them."""
    nodes = node_names()
    _write_pages(folder, "nodes", (_node(name) for name in nodes))
    filled = list(_filled())
    pods = [
        _pod(f"p{gpu}-{index}", nodes[gpu // GPUS], gpu % GPUS, size)
        for gpu, sizes in enumerate(filled)
        for index, size in enumerate(sizes)
    ]
    _write_pages(folder, "pods", iter(pods))
    return Written(folder, len(pods), sum(size.area for sizes in filled for size in sizes))


def waiting_pod(number: int, size: Size) -> dict[str, object]:
    """Return a pod that is to be placed, as the scheduler sends it."""
    return _object(f"new{number}", size, {}, "")


def _filled() -> Iterator[tuple[Size, ...]]:
    """Yield the sizes on each occupied GPU."""
    stream = mixes.stream(mixes.MIXES["fast"], 6)
    layouts = [Layout()] * _OPEN
    for _ in range(OCCUPIED):
        while True:
            size = next(stream)
            larger = next(
                (
                    (at, found)
                    for at, each in enumerate(layouts)
                    if (found := each.beside(str(len(each.keys)), size)) is not None
                ),
                None,
            )
            if larger is None:
                break
            layouts[larger[0]] = larger[1]
        fullest = max(range(_OPEN), key=lambda at: layouts[at].used_area)
        yield layouts[fullest].sizes
        layouts[fullest] = Layout((("0", _at_origin(size)),))


def _at_origin(size: Size) -> Rectangle:
    return Rectangle(0, 0, size.width, size.height)


def _node(name: str) -> dict[str, object]:
    gpus = [NodeGpu(f"GPU-{name[:10]}-{at}", "A100", 108, _MEMORY_BYTES) for at in range(GPUS)]
    units = str(100 * 48 * GPUS)
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64"},
            "annotations": {names.ANNOTATION_GPUS: encode_inventory(gpus)},
        },
        "status": {"allocatable": {names.RESOURCE_SM: units, names.RESOURCE_QUOTA: units}},
    }


def _pod(name: str, node: str, gpu: int, size: Size) -> dict[str, object]:
    placed = PodPlacement(f"GPU-{node[:10]}-{gpu}", size.height, size.width, _POD_BYTES)
    return _object(name, size, {names.ANNOTATION_PLACEMENT: encode_placement(placed)}, node)


def _object(name: str, size: Size, annotations: dict[str, str], node: str) -> dict[str, object]:
    limits = {names.RESOURCE_SM: str(size.height), names.RESOURCE_QUOTA: str(size.width)}
    annotations = annotations | {names.ANNOTATION_GPU_MEM: "1Gi"}
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-24T08:00:00Z",
            "labels": {"app": "resnet", "pod-template-hash": "5d4f8c7b9"},
            "annotations": annotations,
        },
        "spec": {
            "containers": [{"name": "server", "resources": {"limits": limits}}],
            "priority": 0,
            **({"nodeName": node} if node else {}),
        },
        "status": {
            "phase": "Running" if node else "Pending",
            "conditions": [{"type": "Ready", "status": "True"}] if node else [],
        },
    }


def _write_pages(folder: Path, kind: str, objects: Iterator[dict[str, object]]) -> None:
    items = list(objects)
    for at in range(0, len(items), PAGE):
        is_last = at + PAGE >= len(items)
        meta = {"resourceVersion": "9", "continue": "" if is_last else str(at // PAGE + 1)}
        page = {"kind": "List", "metadata": meta, "items": items[at : at + PAGE]}
        (folder / f"{kind}-{at // PAGE}.json").write_text(json.dumps(page))
