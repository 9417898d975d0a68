"""What each GPU lacks for a request that found no place, in words: why a pod is pending.

`placement.choose` answers yes or no for many GPUs at once and fast; this asks one GPU at a time
what would have to become free. The two agree: a GPU lacks nothing exactly if `choose` could put
the request there, as the others lie or by a new layout.
"""

from dataclasses import dataclass

from gshare import placement
from gshare.modes import Packer
from gshare.placement import Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE, Size
from gshare.units import memory_text


@dataclass(frozen=True, slots=True)
class Shortage:
    """What `gpu` lacks for `request`: at least one of these."""

    gpu: Snapshot
    request: Request
    is_unhealthy: bool
    has_no_client: bool
    memory_bytes: int
    """Memory that is missing; 0 where there is enough."""
    lacks_rectangle: bool

    @property
    def nearest(self) -> Size | None:
        """Return the size with room that comes closest, or None on a full GPU."""
        return placement.nearest_free(self.gpu, self.request.size)

    @property
    def distance(self) -> tuple[bool, bool, int, int]:
        """Return how far the GPU is from having room, small for near."""
        return placement.distance(self.gpu, self.request)

    @property
    def text(self) -> str:
        """Say what is missing."""
        lacks = []
        if self.is_unhealthy:
            lacks.append("the GPU is not healthy")
        if self.has_no_client:
            lacks.append(f"all of its {self.gpu.gpu.max_clients} MPS clients are taken")
        if self.memory_bytes:
            lacks.append(
                f"{memory_text(self.memory_bytes)} of memory are missing: "
                f"{memory_text(self.request.memory_on(self.gpu.gpu))}"
                f"{placement.weights_text(self.gpu, self.request)} asked, "
                f"{memory_text(max(0, self.gpu.memory_free_bytes))} free"
            )
        if self.lacks_rectangle:
            lacks.append(_rectangle_text(self.gpu, self.nearest, self.request.size))
        return "; ".join(lacks)


def of(gpu: Snapshot, request: Request, packer: Packer) -> Shortage | None:
    """Return what `gpu` lacks for `request`; None where it has room."""
    shortage = Shortage(
        gpu=gpu,
        request=request,
        is_unhealthy=not gpu.gpu.is_healthy,
        has_no_client=gpu.clients_free <= 0,
        memory_bytes=max(0, gpu.memory_asked(request) - gpu.memory_free_bytes),
        lacks_rectangle=not _has_room(gpu, request, packer),
    )
    return shortage if shortage.text else None


def _has_room(gpu: Snapshot, request: Request, packer: Packer) -> bool:
    if gpu.layout.beside(request.key, request.size) is not None:
        return True
    return packer.holds([*gpu.layout.sizes, request.size])


def _rectangle_text(gpu: Snapshot, nearest: Size | None, size: Size) -> str:
    free_area = GPU_RECTANGLE.area - gpu.layout.used_area
    if nearest is None:
        return "nothing of the GPU is free"
    free = f"{free_area / 100:g} % of the GPU is free"
    has = placement.size_text(nearest)
    return f"{_lacking(nearest, size)} missing: the nearest free rectangle has {has} ({free})"


def _lacking(nearest: Size, size: Size) -> str:
    parts = []
    if size.height > nearest.height:
        parts.append(f"{size.height - nearest.height} % of the SMs")
    if size.width > nearest.width:
        parts.append(f"{size.width - nearest.width} % of the time")
    return " and ".join(parts) + (" are" if len(parts) > 1 else " is")
