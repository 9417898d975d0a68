"""What placement is asked and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gshare import models
from gshare.layout import Layout
from gshare.models import ModelShare
from gshare.modes import Timetable
from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size, size_of

SMALLEST_DEFAULT_MEMORY_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """What one GPU offers. `max_clients` is what MPS admits at once: 48 on Volta and later.

    `store_bytes` is what its model store takes for itself, None where there is no store.
    """

    uuid: str
    memory_bytes: int
    sm_count: int
    max_clients: int = 48
    is_healthy: bool = True
    store_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What one replica asks. `memory_bytes` None means its rectangle's share, at least 1 GiB.

    That is its own memory. The weights of its `model` come on top: once for all replicas where the
    GPU has a model store, else in the memory of each.
    """

    key: str
    sm_percent: int
    quota_percent: int
    memory_bytes: int | None = None
    model: ModelShare | None = None

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, with ValueError."""
        size_of(self.quota_percent, self.sm_percent)

    @property
    def size(self) -> Size:
        """Return the function rectangle that is asked for."""
        return size_of(self.quota_percent, self.sm_percent)

    def memory_on(self, gpu: Gpu) -> int:
        """Return the bytes of device memory that the replica may use of its own on `gpu`.

        Its weights are in it where `gpu` has no store. Its rectangle's share is one of what weights
        and store leave, so that a whole GPU can be had beside them.
        """
        if self.model is None:
            own = self.memory_bytes
            return self._own_of(gpu.memory_bytes) if own is None else own
        size = self.model.size_bytes or 0
        if gpu.store_bytes is None:
            return self._own_of(gpu.memory_bytes - size) + size
        return self._own_of(gpu.memory_bytes - models.whole_granules(size) - gpu.store_bytes)

    def share_on(self, gpu: Gpu) -> ModelShare | None:
        """Return the model whose weights the store of `gpu` would keep for the replica."""
        return None if gpu.store_bytes is None else self.model

    def _own_of(self, memory_bytes: int) -> int:
        if self.memory_bytes is not None:
            return self.memory_bytes
        share = memory_bytes * self.size.area // GPU_RECTANGLE.area
        return max(SMALLEST_DEFAULT_MEMORY_BYTES, share)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One GPU, where its functions lie, and the memory in bytes that each may use of its own.

    `shares` are the models whose weights the GPU's store keeps for functions, `resident` the bytes
    of the models that it keeps by now, by name.
    """

    gpu: Gpu
    layout: Timetable = field(default_factory=Layout)
    memory: tuple[tuple[str, int], ...] = ()
    shares: tuple[tuple[str, ModelShare], ...] = ()
    resident: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a layout and memory that name different functions, with ValueError."""
        if tuple(key for key, _ in self.memory) != self.layout.keys:
            raise ValueError(f"{self.gpu.uuid}: layout and memory name different functions")
        if self.shares and not {key for key, _ in self.shares} <= set(self.layout.keys):
            raise ValueError(f"{self.gpu.uuid}: layout and shares name different functions")

    @property
    def weights(self) -> dict[str, int]:
        """Return what the GPU is charged for the weights of models, by name, each once."""
        return models.charged((share for _, share in self.shares), self.resident)

    @property
    def charged_bytes(self) -> int:
        """Return what the GPU is charged for models, their store included."""
        return self._charged(())

    @property
    def memory_free_bytes(self) -> int:
        """Return what no function has been promised; negative if the GPU has shrunk."""
        own = sum(amount for _, amount in self.memory)
        return self.gpu.memory_bytes - own - (self.charged_bytes if self.shares else 0)

    def memory_asked(self, request: Request) -> int:
        """Return the bytes that `request` would add to what is promised: its marginal memory."""
        own, share = request.memory_on(self.gpu), request.share_on(self.gpu)
        return own if share is None else own + self._charged((share,)) - self.charged_bytes

    def _charged(self, more: tuple[ModelShare, ...]) -> int:
        shares = (*(share for _, share in self.shares), *more)
        return models.charged_bytes(shares, self.resident, self.gpu.store_bytes)

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
