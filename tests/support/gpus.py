"""Builders of GPUs and requests: sane by default, so a test shows only what matters to it."""

import dataclasses

from gshare.layout import Layout
from gshare.placement import Gpu, Request, Snapshot
from gshare.rectangles import Rectangle, Size

GIB = 2**30
PAPER = (*[Size(40, 12)] * 4, *[Size(40, 24)] * 2, *[Size(60, 50)] * 2)
"""The paper's eight functions (quota wide, SM high): four ResNet, two RNNT, two BERT."""


def gpu(uuid: str = "GPU-0", **changes: object) -> Gpu:
    """Return a GPU of 80 SMs and 16 GiB, changed by `changes`."""
    return dataclasses.replace(Gpu(uuid, memory_bytes=16 * GIB, sm_count=80), **changes)


def snapshot(
    uuid: str = "GPU-0", *places: tuple[str, Rectangle], memory: int = GIB, **changes: object
) -> Snapshot:
    """Return a GPU on which `places` lie, each with `memory` bytes."""
    return Snapshot(gpu(uuid, **changes), Layout(places), tuple((key, memory) for key, _ in places))


def request(key: str = "a", sm: int = 12, quota: int = 40, memory: int | None = GIB) -> Request:
    """Return a request for `sm` percent of the SMs and `quota` percent of the time."""
    return Request(key, sm, quota, memory)


def requests_for(sizes: tuple[Size, ...]) -> list[Request]:
    """Return one request for each of `sizes`."""
    return [
        request(f"replica-{index}", size.height, size.width) for index, size in enumerate(sizes)
    ]
