"""What goes into the ledger and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from gshare import terms
from gshare.annotations import PodPlacement, Standing
from gshare.placement import Request, Snapshot


@dataclass(frozen=True, slots=True)
class PlacedPod:
    """A live pod that holds a rectangle. `leaves_at_s` is when its grace period ends, if it does.

    `created` is its creation time as the API writes it, which sorts by age. `wishes` are the texts
    of its annotations on terms, once it runs. The ledger gives it out with what it counts as
    (`counted`); `kubelet_quota` is then what the kubelet counts, where that is another quota.
    """

    uid: str
    namespace: str
    name: str
    node: str
    placement: PodPlacement
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    leaves_at_s: float | None = None
    wishes: Mapping[str, str] | None = None
    kubelet_quota: int | None = None

    @property
    def sm_units(self) -> int:
        """Return how many of the node's vgpu-sm it takes."""
        return self.placement.sm_percent

    @property
    def quota_units(self) -> int:
        """Return how many of the node's vgpu-quota it takes."""
        return self.kubelet_quota or self.placement.quota_percent

    def counted(self, standing: Standing | None) -> "PlacedPod":
        """Return it with what it counts as, by what its node says of it."""
        counted = terms.counted(self.placement, self.wishes, standing)
        if counted == self.placement:
            return self
        return replace(self, placement=counted, kubelet_quota=self.placement.quota_percent)


@dataclass(frozen=True, slots=True)
class UnplacedPod:
    """A live pod that was bound with our resources but holds no rectangle; `text` says why.

    It takes `sm_units` and `quota_units` of the node's plain sums, since the kubelet counts them.
    """

    uid: str
    namespace: str
    name: str
    node: str
    sm_units: int
    quota_units: int
    text: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place held for a pod that is not seen on its node yet.

    `victims` are the pods that must leave before there is room; while one of them is there,
    nobody else gets anything of that GPU. `priority` is that of the pod they leave for.
    """

    uid: str
    node: str
    placement: PodPlacement
    expires_s: float
    victims: frozenset[str] = frozenset()
    priority: int = 0


class RefusalKind(StrEnum):
    """Why a node takes a pod not; the texts are short, and equal across nodes."""

    FULL = "GPU rectangles are full"
    MEMORY = "GPU memory is full"
    CLIENTS = "GPU has all its MPS clients"
    HELD = "GPU is held for a pod that preempts"
    CONFLICT = "placements on the GPU conflict"
    DOUBLED = "GPU is listed by two nodes"
    UNHEALTHY = "GPU is not healthy"
    UNITS = "node has no vgpu units left"
    NO_GPU = "node offers no GPU of gshare"
    RESTING = "node turned a pod away just now"


# Where the GPUs of a node refuse for several reasons, the first of these is the node's.
NEAREST_FIRST: Final = (
    RefusalKind.FULL,
    RefusalKind.MEMORY,
    RefusalKind.CLIENTS,
    RefusalKind.HELD,
    RefusalKind.CONFLICT,
    RefusalKind.DOUBLED,
    RefusalKind.UNHEALTHY,
)


@dataclass(frozen=True, slots=True)
class NodeRefusal:
    """A node that does not take a pod."""

    node: str
    kind: RefusalKind

    @property
    def text(self) -> str:
        """Return the reason, as a pod's events show it."""
        return self.kind.value


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that takes a pod, and the GPU and memory that it would get there.

    `used_area` is what others hold of that GPU; `is_relaid` tells that the GPU must be laid out
    anew, `has_own_weights` that the memory is for the weights of its model too.
    """

    node: str
    gpu_uuid: str
    memory_bytes: int
    used_area: int
    is_relaid: bool = False
    has_own_weights: bool = False

    def placement(self, request: Request) -> PodPlacement:
        """Return the placement that this means for `request`."""
        return PodPlacement(
            self.gpu_uuid,
            request.sm_percent,
            request.quota_percent,
            self.memory_bytes,
            request.model,
            self.has_own_weights,
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best nodes for a pod, best first; where there is none, why each takes it not, by name.

    Where there are some, nobody asks why thousands of others are not among them.
    """

    candidates: tuple[Candidate, ...]
    refusals: Mapping[str, RefusalKind]

    @classmethod
    def only(cls, held: Reservation) -> Self:
        """Return a ranking of the one node where a place is held."""
        at = held.placement
        return cls((Candidate(held.node, at.gpu_uuid, at.memory_bytes, 0),), {})


@dataclass(frozen=True, slots=True)
class Ground:
    """One GPU that can be used, what holds it, and the plain units that its node has left.

    `pods` are those of the snapshot's functions that are seen on the node, by UID; the others are
    reservations.
    """

    node: str
    snapshot: Snapshot
    pods: Mapping[str, PlacedPod]
    units_free: tuple[int, int]
    """Of vgpu-sm and of vgpu-quota."""


class ProblemKind(StrEnum):
    """What can be inconsistent."""

    CONFLICT = "conflict"
    MEMORY = "memory"
    CLIENTS = "clients"
    VANISHED = "vanished_gpu"
    UNPLACED = "unplaced_pod"
    INVENTORY = "inventory"
    MODEL = "changed_model"
    DOUBLED = "doubled_gpu"


@dataclass(frozen=True, slots=True)
class Problem:
    """An inconsistency that was observed: which pods (by UID) of which GPU, and what to do."""

    kind: ProblemKind
    node: str
    text: str
    gpu_uuid: str = ""
    pods: tuple[str, ...] = ()
