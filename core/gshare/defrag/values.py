"""What a plan to free GPUs is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

from gshare.ledger import PlacedPod
from gshare.placement import Request
from gshare.preemption import Budget

Budgets = Sequence[Budget]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A pod on a GPU, and the pod that would take its place were it evicted.

    `request` is what that one would ask, under the pod's UID; `owner` names the controller that
    would make it, empty where none would; `reach` are the nodes that it may go to, None for all.
    """

    pod: PlacedPod
    request: Request
    owner: str
    reach: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Evict `pod`: there is room for its successor on this GPU, a used one, of this node."""

    pod: PlacedPod
    owner: str
    node: str
    gpu_uuid: str


@dataclass(frozen=True, slots=True)
class Clearing:
    """The moves that free one GPU, in the order in which to make them."""

    node: str
    gpu_uuid: str
    moves: tuple[Move, ...]

    @property
    def area(self) -> int:
        """Return the area of what moves; a GPU is 10,000."""
        return sum(move.pod.placement.size.area for move in self.moves)

    @property
    def memory_bytes(self) -> int:
        """Return the device memory that what moves may use."""
        return sum(move.pod.placement.memory_bytes for move in self.moves)

    @property
    def priority(self) -> int:
        """Return the highest priority of what moves."""
        return max(move.pod.priority for move in self.moves)


@dataclass(frozen=True, slots=True)
class Kept:
    """A GPU in use that the plan does not free, and why not."""

    node: str
    gpu_uuid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The GPUs to free, cheapest first, and those in use that stay so."""

    clearings: tuple[Clearing, ...]
    kept: tuple[Kept, ...]

    @property
    def evictions(self) -> int:
        """Return how many pods move."""
        return sum(len(clearing.moves) for clearing in self.clearings)

    @property
    def freed_per_eviction(self) -> float:
        """Return how many GPUs one eviction frees; 0 where nothing is to be done."""
        return len(self.clearings) / self.evictions if self.clearings else 0.0
