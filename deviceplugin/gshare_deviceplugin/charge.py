"""What of a GPU's memory the holders of leases and its model store leave. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gshare import models
from gshare.annotations import NodeGpu
from gshare.models import ModelShare


class Holder(Protocol):
    """Who has memory of a GPU: a lease, or a pod that was placed there."""

    @property
    def memory_bytes(self) -> int:
        """Return what it may use of its own."""

    @property
    def shared(self) -> ModelShare | None:
        """Return the model whose weights the GPU's store keeps for it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A GPU, and by name the bytes of the models that its store keeps there."""

    gpu: NodeGpu
    resident: Mapping[str, int] = field(default_factory=dict)

    def left_bytes(self, holders: Iterable[Holder]) -> int:
        """Return what `holders` leave, each model counted once; below 0 if they have too much."""
        known = tuple(holders)
        shares = [each.shared for each in known if each.shared is not None]
        charged = models.charged_bytes(shares, self.resident, self.gpu.store_bytes)
        return self.gpu.memory_bytes - sum(each.memory_bytes for each in known) - charged
