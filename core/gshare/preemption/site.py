"""One GPU on which pods may have to leave: who may go, and whether that is enough."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gshare import placement
from gshare.annotations import PodPlacement
from gshare.ledger import Ground, PlacedPod
from gshare.modes import Packer
from gshare.placement import Placement, Request
from gshare.rectangles import GPU_RECTANGLE
from gshare.selectors import Selector

# How long after its grace period a pod still counts as leaving; then its node is in trouble.
LATE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: how many of the pods that it selects may still be evicted now."""

    namespace: str
    name: str
    allowed: int
    selector: Selector

    def covers(self, pod: PlacedPod) -> bool:
        """Tell whether `pod` is one of its pods."""
        return pod.namespace == self.namespace and self.selector.selects(pod.labels)


@dataclass(frozen=True, slots=True)
class Demand:
    """A pod that fits nowhere, and its priority; `spared` are pods that must not be touched."""

    request: Request
    priority: int
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nobody needs to be evicted: pods that are leaving make room on this GPU."""

    node: str
    gpu_uuid: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Evict `victims`, and the pod fits on this GPU once they and `leaving` are gone.

    `placement` is what the pod gets there; `holders` are the UIDs of all that held the GPU when the
    plan was made.
    """

    node: str
    placement: PodPlacement
    victims: tuple[PlacedPod, ...]
    leaving: tuple[PlacedPod, ...]
    holders: tuple[str, ...]

    @property
    def gpu_uuid(self) -> str:
        """Return the GPU."""
        return self.placement.gpu_uuid


@dataclass(slots=True)
class Site:
    """A ground under consideration."""

    ground: Ground
    demand: Demand
    budgets: Sequence[Budget]
    packer: Packer
    now_s: float
    leaving: tuple[PlacedPod, ...] = field(init=False)
    checks: int = 0
    """How many layouts were searched here."""

    def __post_init__(self) -> None:
        """Find out who is leaving anyway."""
        self.leaving = tuple(filter(self._leaves, self.ground.pods.values()))

    def _leaves(self, pod: PlacedPod) -> bool:
        return pod.leaves_at_s is not None and pod.leaves_at_s + LATE_S > self.now_s

    def candidates(self) -> list[PlacedPod]:
        """Return who may be evicted, the one to evict first in front."""
        found = [pod for pod in self.ground.pods.values() if self._may_go(pod)]
        found.sort(key=lambda pod: pod.uid)
        found.sort(key=lambda pod: pod.created, reverse=True)
        found.sort(key=lambda pod: (pod.priority, pod.placement.size.area))
        return found

    def _may_go(self, pod: PlacedPod) -> bool:
        covering = [budget for budget in self.budgets if budget.covers(pod)]
        return (
            pod.priority < self.demand.priority
            and pod.leaves_at_s is None
            and pod.uid not in self.demand.spared
            and len(covering) <= 1
            and all(budget.allowed > 0 for budget in covering)
        )

    def keeps_budgets(self, victims: Sequence[PlacedPod]) -> bool:
        """Tell whether no budget is asked for more than it has."""
        return all(
            sum(budget.covers(pod) for pod in victims) <= budget.allowed for budget in self.budgets
        )

    def fits_without(self, victims: Sequence[PlacedPod]) -> bool:
        """Tell whether the pod fits once `victims` and those that are leaving are gone."""
        gone = (*self.leaving, *victims)
        request, snapshot = self.demand.request, self.ground.snapshot
        area = sum(pod.placement.size.area for pod in gone)
        if snapshot.layout.used_area - area + request.size.area > GPU_RECTANGLE.area:
            return False
        units = (
            self.ground.units_free[0] + sum(pod.sm_units for pod in gone),
            self.ground.units_free[1] + sum(pod.quota_units for pod in gone),
        )
        if units[0] < request.sm_percent or units[1] < request.quota_percent:
            return False
        self.checks += 1
        for pod in gone:
            snapshot = placement.release(snapshot, pod.uid)
        answer = placement.choose((snapshot,), request, self.packer)
        return isinstance(answer, Placement) and self._is_found_again(answer)

    def bound(self) -> tuple[int, int] | None:
        """Return the least that room can cost here, by area: highest priority and number.

        None where all that may go are too few.
        """
        missing = self.ground.snapshot.layout.used_area + self.demand.request.size.area
        missing -= GPU_RECTANGLE.area + sum(pod.placement.size.area for pod in self.leaving)
        candidates = self.candidates()
        for level in sorted({pod.priority for pod in candidates}):
            areas = [pod.placement.size.area for pod in candidates if pod.priority <= level]
            areas.sort(reverse=True)
            for count in range(1, len(areas) + 1):
                if sum(areas[:count]) >= missing:
                    return (level, count)
        return None

    def _is_found_again(self, answer: Placement) -> bool:
        return self.packer.holds(answer.after.layout.sizes, search_longer=True)
