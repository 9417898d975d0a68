"""Chooses a GPU for a function: a snapshot of GPUs and a request in, a placement or refusal out.

Hard constraints come first: health, memory, MPS clients. Among the GPUs that pass, the function
goes where best short-side fit leaves least (`modes.short_side_left`, the same rule in both modes),
ties to the most used GPU, then to the first in the list. (A used GPU never leaves more than an
unused one would, so an unused one is opened only where no used one has room.) Before that place is
taken, a new layout (`Packer.arrange`) is tried on the GPUs that are fuller and have the area but no
room as they lie, fullest first; the first that then holds the function gets it. A new layout moves
no process.

Mean percent of the area of 4 GPUs in use at the first refusal, 60 streams, mixes grid, gridinv and
small of benchmarks/packing_orders.py: plain maximal rectangles 71.7, 77.4 and 79.6; new layouts
only before an unused GPU is opened 72.3, 79.8 and 87.1; before an emptier one is used, as here,
72.5, 80.2 and 87.8.

Everything is deterministic: the same snapshot and request give the same answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gshare import modes, units
from gshare.layout import Layout
from gshare.modes import Packer, Timetable
from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size, size_of

# How many of the fullest GPUs are laid out anew for one request. 4 has nearly all of the gain
# where functions are large; many small functions gain a little up to 8.
RELAYOUT_CANDIDATES: Final = 8
SMALLEST_DEFAULT_MEMORY_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """What one GPU offers. `max_clients` is what MPS admits at once: 48 on Volta and later."""

    uuid: str
    memory_bytes: int
    sm_count: int
    max_clients: int = 48
    is_healthy: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """What one replica asks. `memory_bytes` None means its rectangle's share, at least 1 GiB."""

    key: str
    sm_percent: int
    quota_percent: int
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, with ValueError."""
        size_of(self.quota_percent, self.sm_percent)

    @property
    def size(self) -> Size:
        """Return the function rectangle that is asked for."""
        return size_of(self.quota_percent, self.sm_percent)

    def memory_on(self, gpu: Gpu) -> int:
        """Return the bytes of device memory that the replica may use on `gpu`."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        share = gpu.memory_bytes * self.size.area // GPU_RECTANGLE.area
        return max(SMALLEST_DEFAULT_MEMORY_BYTES, share)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One GPU, where its functions lie, and the memory in bytes that each may use."""

    gpu: Gpu
    layout: Timetable = field(default_factory=Layout)
    memory: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a layout and memory that name different functions, with ValueError."""
        if tuple(key for key, _ in self.memory) != self.layout.keys:
            raise ValueError(f"{self.gpu.uuid}: layout and memory name different functions")

    @property
    def memory_free_bytes(self) -> int:
        """Return what no function has been promised; negative if the GPU has shrunk."""
        return self.gpu.memory_bytes - sum(amount for _, amount in self.memory)

    @property
    def clients_free(self) -> int:
        """Return how many more functions MPS admits."""
        return self.gpu.max_clients - len(self.memory)


@dataclass(frozen=True, slots=True)
class Placement:
    """A request's place on one GPU, and that GPU's snapshot with it.

    `after.layout` is the whole new timetable; where `is_relaid` the other functions' phases have
    changed too, and the node must write all of them.
    """

    key: str
    gpu_uuid: str
    memory_bytes: int
    after: Snapshot
    is_relaid: bool = False

    @property
    def pieces(self) -> tuple[Rectangle, ...]:
        """Return the rectangles that are the request's; more than one where it is sliced."""
        return tuple(piece for key, piece in self.after.layout.pieces if key == self.key)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request has no place: `text` is one line that says what it asks and what is free."""

    request: Request
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What `place_all` decided: the GPUs afterwards, and the answers in the order of decision."""

    gpus: tuple[Snapshot, ...]
    placements: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]


def choose(gpus: Sequence[Snapshot], request: Request, packer: Packer) -> Placement | Refusal:
    """Return the best place for `request` on `gpus`, or a refusal. ValueError if it has one."""
    if any(request.key in gpu.layout.keys for gpu in gpus):
        raise ValueError(f"{request.key} is placed already")
    able = [gpu for gpu in gpus if _obstacle(gpu, request) is None]
    best = _best_fit(able, request.size)
    for candidate in _worth_laying_out_anew(able, best, request.size):
        placement = _lay_out_anew(candidate, request, packer)
        if placement is not None:
            return placement
    if best is None:
        return Refusal(request, _refusal_text(gpus, request))
    return (
        _put(best, request)
        or _lay_out_anew(best, request, packer)
        or choose([gpu for gpu in gpus if gpu is not best], request, packer)
    )


def place_all(gpus: Sequence[Snapshot], requests: Iterable[Request], packer: Packer) -> Plan:
    """Place every request that finds room, largest area first, which packs best.

    Equal sizes go in the order of their keys, so the order of `requests` does not matter.
    """
    current = {gpu.gpu.uuid: gpu for gpu in gpus}
    placements, refusals = [], []
    for request in sorted(requests, key=_offline_order):
        answer = choose(tuple(current.values()), request, packer)
        if isinstance(answer, Refusal):
            refusals.append(answer)
        else:
            current[answer.gpu_uuid] = answer.after
            placements.append(answer)
    return Plan(tuple(current.values()), tuple(placements), tuple(refusals))


def release(gpu: Snapshot, key: str) -> Snapshot:
    """Return `gpu` after `key` has left, the others in place; KeyError if it is not there."""
    return Snapshot(
        gpu.gpu,
        gpu.layout.without(key),
        tuple(entry for entry in gpu.memory if entry[0] != key),
    )


def _offline_order(request: Request) -> tuple[int, int, int, str]:
    size = request.size
    return (-size.area, -max(size.width, size.height), -size.width, request.key)


def _best_fit(gpus: Iterable[Snapshot], size: Size) -> Snapshot | None:
    """Return the GPU with the best short-side fit, ties to the most used, then the first."""
    best, best_worth = None, (0, 0)
    for gpu in gpus:
        short_side = modes.short_side_left(gpu.layout.profile, size)
        if short_side is None:
            continue
        worth = (short_side, -gpu.layout.used_area)
        if best is None or worth < best_worth:
            best, best_worth = gpu, worth
    return best


def _worth_laying_out_anew(
    gpus: Iterable[Snapshot], best: Snapshot | None, size: Size
) -> list[Snapshot]:
    """Return the fullest GPUs, fuller than `best`, that have the area but no room as they lie.

    Fullest first, RELAYOUT_CANDIDATES at most, never an unused one.
    """
    fuller_than = best.layout.used_area if best else 0
    stuck = [
        gpu
        for gpu in gpus
        if gpu.layout.used_area > fuller_than
        and gpu.layout.used_area + size.area <= GPU_RECTANGLE.area
        and not gpu.layout.fits(size)
    ]
    return sorted(stuck, key=lambda gpu: -gpu.layout.used_area)[:RELAYOUT_CANDIDATES]


def _put(gpu: Snapshot, request: Request) -> Placement | None:
    """Place `request` beside the others as they lie."""
    larger = gpu.layout.beside(request.key, request.size)
    if larger is None:  # there is room, but in more pieces than a lease may have
        return None
    is_relaid = any(larger.slices(key) != gpu.layout.slices(key) for key in gpu.layout.keys)
    return _placement(gpu, larger, request, is_relaid=is_relaid)


def _lay_out_anew(gpu: Snapshot, request: Request, packer: Packer) -> Placement | None:
    arranged = packer.arrange(modes.sizes_of(gpu.layout) | {request.key: request.size})
    if arranged is None:
        return None
    return _placement(gpu, arranged, request, is_relaid=True)


def _placement(
    gpu: Snapshot, arranged: Timetable, request: Request, *, is_relaid: bool
) -> Placement:
    amount = request.memory_on(gpu.gpu)
    after = replace(gpu, layout=arranged, memory=(*gpu.memory, (request.key, amount)))
    return Placement(request.key, gpu.gpu.uuid, amount, after, is_relaid)


def _obstacle(gpu: Snapshot, request: Request) -> str | None:
    """Return which hard constraint keeps `request` off `gpu`, or None."""
    if not gpu.gpu.is_healthy:
        return "is not healthy"
    if gpu.clients_free <= 0:
        return f"has all of its {gpu.gpu.max_clients} MPS clients"
    if request.memory_on(gpu.gpu) > gpu.memory_free_bytes:
        return "has too little memory free"
    return None


def _refusal_text(gpus: Sequence[Snapshot], request: Request) -> str:
    asked = f"{request.key} asks for {size_text(request.size)}"
    if not gpus:
        return f"{asked}; there is no GPU"
    best = min(gpus, key=lambda gpu: distance(gpu, request))
    nearest = nearest_free(best, request.size)
    free = size_text(nearest) if nearest else "no rectangle"
    memory = f"{units.memory_text(max(0, best.memory_free_bytes))} of memory"
    why = _obstacle(best, request) or "has no room for that rectangle"
    return (
        f"{asked} and {units.memory_text(request.memory_on(best.gpu))} of memory; "
        f"nearest is {best.gpu.uuid} (of {len(gpus)}), which {why}: free there are "
        f"{free}, {memory}, {max(0, best.clients_free)} clients"
    )


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
    lacking = max(0, request.memory_on(gpu.gpu) - gpu.memory_free_bytes)
    return (not gpu.gpu.is_healthy, gpu.clients_free <= 0, percents, lacking)
