"""Chooses which pods of lower priority leave a GPU so that a pod of higher priority fits there.

Idea. All victims stand on one GPU, since a rectangle lies on one. Pods that are leaving anyway
count as gone. Where that is enough on some GPU, nobody is evicted: the pod waits. Else, on each
GPU, the lowest level of priority is found up to which everyone would have to go, and among these
pods the fewest that make room, of the least area, the youngest first.

Order of cost, cheapest first: highest priority of a victim, number of victims, their area, their
age (the longest-lived are kept), then node and GPU by name. No disruption budget is ever broken:
a pod whose budget has nothing left, or that stands under two budgets (the Eviction API refuses
those), is no victim, and no set takes more of a budget than it has.

Invariant. A set that is answered makes the pod fit, by the same rule as admission, and no victim
in it is one too many: without any of them the pod would not fit. A set that only seems cheaper
may be missed on a GPU with many small pods, where the search is cut off (`CHECKS`).

Worked example. A GPU holds four pods of 50 by 50, three of priority 0 and one of 5. A pod of
priority 10 asks 100 by 50: the level is 0, one victim is too few, and of the three possible pairs
the youngest two go. If a budget allows only one of the three to go, the level is 5, and the pair
is that one and the pod of priority 5.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

from gshare import placement
from gshare.layout import Verdicts
from gshare.ledger import PlacedPod
from gshare.placement import Placement, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE
from gshare.selectors import Selector

# How many sets of victims are tried on one GPU before what is found so far is thinned out.
CHECKS: Final = 256
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
class Ground:
    """One GPU on which pods may have to leave; `pods` are those of its snapshot that are seen.

    What else lies there is reserved and stays. `units_free` are vgpu-sm and vgpu-quota of the node.
    """

    node: str
    snapshot: Snapshot
    pods: tuple[PlacedPod, ...]
    units_free: tuple[int, int]


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
    """Evict `victims`, and `demand` fits on this GPU once they and `leaving` are gone."""

    node: str
    gpu_uuid: str
    memory_bytes: int
    victims: tuple[PlacedPod, ...]
    leaving: tuple[PlacedPod, ...]


@dataclass(slots=True)
class _Site:
    """A ground under consideration."""

    ground: Ground
    demand: Demand
    budgets: Sequence[Budget]
    verdicts: Verdicts
    now_s: float
    leaving: tuple[PlacedPod, ...] = field(init=False)
    checks: int = 0

    def __post_init__(self) -> None:
        self.leaving = tuple(pod for pod in self.ground.pods if self._leaves(pod))

    def _leaves(self, pod: PlacedPod) -> bool:
        return pod.leaves_at_s is not None and pod.leaves_at_s + LATE_S > self.now_s

    def candidates(self) -> list[PlacedPod]:
        """Return who may be evicted, the one to evict first in front."""
        found = [pod for pod in self.ground.pods if self._may_go(pod)]
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
        answer = placement.choose((snapshot,), request, self.verdicts)
        return isinstance(answer, Placement) and self._is_found_again(answer)

    def _is_found_again(self, answer: Placement) -> bool:
        return self.verdicts.find_longer(sorted(answer.after.layout.sizes)) is not None


def plan(
    grounds: Iterable[Ground],
    demand: Demand,
    budgets: Sequence[Budget],
    verdicts: Verdicts,
    now_s: float,
) -> Plan | Waiting | None:
    """Return the cheapest plan, or that waiting is enough, or None where nothing helps.

    `now_s` is the time of day, as are the pods' grace periods.
    """
    sites = [_Site(ground, demand, budgets, verdicts, now_s) for ground in grounds]
    for site in sites:
        if site.leaving and site.fits_without(()):
            return Waiting(site.ground.node, site.ground.snapshot.gpu.uuid)
    best: tuple[tuple[object, ...], Plan] | None = None
    for site in sites:
        victims = _victims(site)
        if victims:
            found = _plan(site, victims)
            cost = _cost(found)
            if best is None or cost < best[0]:
                best = (cost, found)
    return best[1] if best else None


def _victims(site: _Site) -> tuple[PlacedPod, ...]:
    """Return the cheapest set that makes room on one GPU; empty where none does."""
    candidates = site.candidates()
    for level in sorted({pod.priority for pod in candidates}):
        eligible = [pod for pod in candidates if pod.priority <= level]
        everyone = _within_budgets(site, eligible)
        if not site.fits_without(everyone):
            continue
        few = _fewest(site, eligible, len(everyone))
        return _thinned(site, few or everyone)
    return ()


def _within_budgets(site: _Site, eligible: Sequence[PlacedPod]) -> tuple[PlacedPod, ...]:
    """Return as many of `eligible`, from the front, as budgets allow together."""
    taken: tuple[PlacedPod, ...] = ()
    for pod in eligible:
        if site.keeps_budgets((*taken, pod)):
            taken = (*taken, pod)
    return taken


def _fewest(site: _Site, eligible: Sequence[PlacedPod], most: int) -> tuple[PlacedPod, ...] | None:
    """Return the smallest set that makes room, of least area; None where the search is cut off."""
    for count in range(1, most + 1):
        fitting: list[tuple[PlacedPod, ...]] = []
        for victims in _sets(site, eligible, count):
            if site.checks >= CHECKS:
                return min(fitting, key=_area, default=None)
            if site.fits_without(victims):
                fitting.append(victims)
        if fitting:
            return min(fitting, key=_area)
    return None


def _sets(
    site: _Site, eligible: Sequence[PlacedPod], count: int
) -> Iterator[tuple[PlacedPod, ...]]:
    """Yield the sets of so many pods that budgets allow; of equal ones only the first."""
    seen = set()
    for tried, victims in enumerate(combinations(eligible, count)):
        if tried >= CHECKS * CHECKS:
            return
        kind = tuple(_kind(site, pod) for pod in victims)
        if kind not in seen and site.keeps_budgets(victims):
            seen.add(kind)
            yield victims


def _kind(site: _Site, pod: PlacedPod) -> tuple[object, ...]:
    """Return all that decides what the departure of `pod` brings and costs, but its age."""
    budget = next((each.name for each in site.budgets if each.covers(pod)), "")
    return (pod.priority, pod.placement.size, pod.placement.memory_bytes, pod.namespace, budget)


def _thinned(site: _Site, victims: Sequence[PlacedPod]) -> tuple[PlacedPod, ...]:
    """Return `victims` without those that need not go, the dearest spared first."""
    kept = tuple(victims)
    for pod in sorted(victims, key=lambda pod: (-pod.priority, -pod.placement.size.area)):
        rest = tuple(each for each in kept if each is not pod)
        if rest and site.fits_without(rest):
            kept = rest
    return kept


def _plan(site: _Site, victims: tuple[PlacedPod, ...]) -> Plan:
    gpu = site.ground.snapshot.gpu
    memory = site.demand.request.memory_on(gpu)
    return Plan(site.ground.node, gpu.uuid, memory, victims, site.leaving)


def _cost(found: Plan) -> tuple[object, ...]:
    ages = sorted((pod.created for pod in found.victims), reverse=True)
    return (
        max(pod.priority for pod in found.victims),
        len(found.victims),
        _area(found.victims),
        tuple(_Newest(age) for age in ages),
        found.node,
        found.gpu_uuid,
    )


def _area(victims: Sequence[PlacedPod]) -> int:
    return sum(pod.placement.size.area for pod in victims)
