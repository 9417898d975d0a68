"""How far a GPU is from having room for a request, in numbers and in words."""

from collections.abc import Sequence

from gshare import modes, units
from gshare.rectangles import GPU_RECTANGLE, Size

from .values import Request, Snapshot


def obstacle(gpu: Snapshot, request: Request) -> str | None:
    """Return which hard constraint keeps `request` off `gpu`, or None."""
    if not gpu.gpu.is_healthy:
        return "is not healthy"
    if gpu.clients_free <= 0:
        return f"has all of its {gpu.gpu.max_clients} MPS clients"
    if gpu.memory_asked(request) > gpu.memory_free_bytes:
        return "has too little memory free"
    return None


def refusal_text(gpus: Sequence[Snapshot], request: Request) -> str:
    """Return one line on why none of `gpus` takes `request`."""
    asked = f"{request.key} asks for {size_text(request.size)}"
    if not gpus:
        return f"{asked}; there is no GPU"
    best = min(gpus, key=lambda gpu: distance(gpu, request))
    nearest = nearest_free(best, request.size)
    free = size_text(nearest) if nearest else "no rectangle"
    memory = f"{units.memory_text(max(0, best.memory_free_bytes))} of memory"
    why = obstacle(best, request) or "has no room for that rectangle"
    return (
        f"{asked} and {units.memory_text(request.memory_on(best.gpu))} of memory"
        f"{weights_text(best, request)}; "
        f"nearest is {best.gpu.uuid} (of {len(gpus)}), which {why}: free there are "
        f"{free}, {memory}, {max(0, best.clients_free)} clients"
    )


def weights_text(gpu: Snapshot, request: Request) -> str:
    """Return what is to be added where a request's memory is told: what of it are weights."""
    model = request.model
    if model is None:
        return ""
    if gpu.gpu.store_bytes is None:
        size = units.memory_text(model.size_bytes or 0)
        return f" ({size} of weights in it, as there is no model store)"
    if model.name in gpu.weights:
        return f" (the weights of {model.name} are there for others)"
    more = gpu.memory_asked(request) - request.memory_on(gpu.gpu)
    return f" and {units.memory_text(more)} for the weights of {model.name}"


def size_text(size: Size) -> str:
    """Return a size in words."""
    return f"{size.height} % of the SMs for {size.width} % of the time"


def nearest_free(gpu: Snapshot, size: Size) -> Size | None:
    """Return the size with room on `gpu` that lacks least for `size`; None on a full GPU."""
    free = modes.free_sizes(gpu.layout.profile)
    return min(free, key=lambda each: missing(each, size), default=None)


def missing(free: Size, size: Size) -> tuple[int, int]:
    """Return how many percents `free` lacks for `size`, and a number to break ties, both small."""
    lacking = max(0, size.width - free.width) + max(0, size.height - free.height)
    return (lacking, -free.area)


def distance(gpu: Snapshot, request: Request) -> tuple[bool, bool, int, int]:
    """Return how far `gpu` is from holding `request`, smallest for the GPU worth naming."""
    nearest = nearest_free(gpu, request.size)
    percents = missing(nearest, request.size)[0] if nearest else 2 * GPU_RECTANGLE.width
    lacking = max(0, gpu.memory_asked(request) - gpu.memory_free_bytes)
    return (not gpu.gpu.is_healthy, gpu.clients_free <= 0, percents, lacking)
