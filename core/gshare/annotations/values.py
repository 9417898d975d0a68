"""What gshare's annotations say, as values that check themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gshare import placement
from gshare.models import MOST_BYTES, ModelShare
from gshare.rectangles import Size, size_of

_USUAL_CLIENTS: Final = 48


@dataclass(frozen=True, slots=True)
class NodeGpu:
    """One GPU of a node's inventory. `note` says why it is not healthy.

    `store_bytes` is what its model store takes for itself once it keeps a model; None where the
    node has no model store.
    """

    uuid: str
    model: str
    sm_count: int
    memory_bytes: int
    max_clients: int = _USUAL_CLIENTS
    is_healthy: bool = True
    is_simulated: bool = False
    note: str = ""
    store_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse a GPU without UUID, SMs or memory, with ValueError."""
        if not self.uuid or not self.uuid.isprintable():
            raise ValueError(f"uuid {self.uuid!r}: must be a name that prints on one line")
        for name in ("sm_count", "memory_bytes", "max_clients"):
            if getattr(self, name) < 1:
                raise ValueError(f"{self.uuid}: {name} {getattr(self, name)}: must be above 0")
        if self.store_bytes is not None and not 0 <= self.store_bytes <= MOST_BYTES:
            raise ValueError(f"{self.uuid}: store_bytes {self.store_bytes}: must be 0 to 512Ti")

    @property
    def gpu(self) -> placement.Gpu:
        """Return what placement needs to know of it."""
        return placement.Gpu(
            self.uuid,
            self.memory_bytes,
            self.sm_count,
            self.max_clients,
            self.is_healthy,
            self.store_bytes,
        )


@dataclass(frozen=True, slots=True)
class PodPlacement:
    """Where a pod was put, as its annotation says: the GPU, the rectangle's sides, the memory.

    `memory_bytes` is what the pod may use of its own. The weights of its `model` are not in it: the
    GPU has them once for all pods. But where the node has no model store (`has_own_weights`), the
    pod keeps them in its own memory, and they are in it.
    """

    gpu_uuid: str
    sm_percent: int
    quota_percent: int
    memory_bytes: int
    model: ModelShare | None = None
    has_own_weights: bool = False

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, no GPU and no memory, with ValueError."""
        size_of(self.quota_percent, self.sm_percent)
        if not self.gpu_uuid or not self.gpu_uuid.isprintable():
            raise ValueError(f"gpu {self.gpu_uuid!r}: must be a UUID")
        if self.memory_bytes < 1:
            raise ValueError(f"memory {self.memory_bytes}: must be above 0")

    @property
    def shared(self) -> ModelShare | None:
        """Return the model whose weights the GPU's store keeps for it."""
        return None if self.has_own_weights else self.model

    @property
    def own_weights_bytes(self) -> int:
        """Return how much of its memory is for weights that no store keeps for it."""
        return (self.model.size_bytes or 0) if self.model and self.has_own_weights else 0

    @property
    def size(self) -> Size:
        """Return the function rectangle."""
        return size_of(self.quota_percent, self.sm_percent)


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a pod's lease may change while it runs."""

    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse terms that no lease may have, with ValueError."""
        if not 1 <= self.quota_request_percent <= self.quota_limit_percent <= 100:
            raise ValueError(
                f"quota request {self.quota_request_percent}, limit {self.quota_limit_percent}: "
                "must be 1 <= request <= limit <= 100"
            )
        if self.memory_bytes < 1:
            raise ValueError(f"memory {self.memory_bytes}: must be above 0")


@dataclass(frozen=True, slots=True)
class Standing:
    """The terms of a pod that are in force, and the annotations that its node refused.

    `refused` has each as it stood, shortened (`terms.texts`); None where its removal was refused.
    """

    terms: Terms
    refused: Mapping[str, str | None] = field(default_factory=dict)


def place_on(gpu: placement.Gpu, request: placement.Request) -> PodPlacement:
    """Return the placement of a pod that asks `request` and gets `gpu`."""
    return PodPlacement(
        gpu.uuid,
        request.sm_percent,
        request.quota_percent,
        request.memory_on(gpu),
        request.model,
        has_own_weights=request.model is not None and gpu.store_bytes is None,
    )
