"""Chooses which pods of lower priority leave a GPU so that a pod of higher priority fits there.

Idea. All victims stand on one GPU, since a function runs on one. Pods that are leaving anyway
count as gone. Where that is enough on some GPU, nobody is evicted: the pod waits. Else, on each
GPU, the lowest level of priority is found up to which everyone would have to go, and among these
pods the fewest that make room, of the least area, the youngest first.

Order of cost, cheapest first: highest priority of a victim, number of victims, their area, their
age (the longest-lived are kept), then node and GPU by name. No disruption budget is ever broken:
a pod whose budget has nothing left, or that stands under two budgets (the Eviction API refuses
those), is no victim, and no set takes more of a budget than it has.

A victim takes the weights of its model with it only where nobody is left who shares them, so sets
are judged as a whole, never by what each victim holds.

Invariant. A set that is answered makes the pod fit, by the same rule as admission, and no victim
in it is one too many: without any of them the pod would not fit. A set that only seems cheaper
may be missed on a GPU with many small pods, where the search is cut off (`CHECKS`).

Worked example. A GPU holds four pods of 50 by 50, three of priority 0 and one of 5. A pod of
priority 10 asks 100 by 50: the level is 0, one victim is too few, and of the three possible pairs
the youngest two go. If a budget allows only one of the three to go, the level is 5, and the pair
is that one and the pod of priority 5.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from gshare.annotations import place_on
from gshare.ledger import Ground, PlacedPod
from gshare.modes import RECT, Mode, Packer
from gshare.placement import Request

from .site import Budget, Demand, Plan, Site, Waiting

# How many layouts are searched on one GPU before what is found so far is thinned out.
CHECKS: Final = 256
# How many sets of victims are looked at on one GPU at most.
_SETS: Final = 20_000


def plan(
    grounds: Iterable[Ground],
    demand: Demand,
    budgets: Sequence[Budget],
    packer: Packer,
    now_s: float,
) -> Plan | Waiting | None:
    """Return the cheapest plan, or that waiting is enough, or None where nothing helps.

    `now_s` is the time of day, as are the pods' grace periods.
    """
    sites = [Site(ground, demand, budgets, packer, now_s) for ground in grounds]
    for site in sites:
        if site.fits_without(()):
            return Waiting(site.ground.node, site.ground.snapshot.gpu.uuid)
    plans: list[Plan] = []
    bounded = [(bound, site) for site in sites if (bound := site.bound())]
    for bound, site in sorted(bounded, key=lambda entry: entry[0]):
        if any(_cost(found)[:2] < bound for found in plans):
            break
        victims = _victims(site)
        if victims:
            plans.append(_plan(site, victims))
    return _cheapest(plans)


def is_enough(
    grounds: Iterable[Ground],
    request: Request,
    victims: Collection[str],
    now_s: float,
    mode: Mode[Any] = RECT,
) -> bool:
    """Tell whether `request` fits one of `grounds` once `victims` (UIDs) are gone.

    For victims that somebody else has chosen, such as kube-scheduler for want of processors.
    """
    demand, packer = Demand(request, 0), Packer(mode)
    return any(
        Site(ground, demand, (), packer, now_s).fits_without(
            [pod for uid, pod in ground.pods.items() if uid in victims and pod.leaves_at_s is None]
        )
        for ground in grounds
    )


def _cheapest(plans: list[Plan]) -> Plan | None:
    plans.sort(key=lambda found: (found.node, found.gpu_uuid))
    plans.sort(key=_ages, reverse=True)
    return min(plans, key=_cost, default=None)


def _victims(site: Site) -> tuple[PlacedPod, ...]:
    """Return the cheapest set that makes room on one GPU; empty where none does."""
    candidates = site.candidates()
    for level in sorted({pod.priority for pod in candidates}):
        eligible = [pod for pod in candidates if pod.priority <= level]
        everyone = _within_budgets(site, eligible)
        if site.fits_without(everyone):
            few = _fewest(site, eligible, len(everyone))
            return _thinned(site, few or everyone)
    return ()


def _within_budgets(site: Site, eligible: Sequence[PlacedPod]) -> tuple[PlacedPod, ...]:
    """Return as many of `eligible`, the largest first, as budgets allow together."""
    taken: tuple[PlacedPod, ...] = ()
    for pod in sorted(eligible, key=lambda pod: -pod.placement.size.area):
        if site.keeps_budgets((*taken, pod)):
            taken = (*taken, pod)
    return taken


def _fewest(site: Site, eligible: Sequence[PlacedPod], most: int) -> tuple[PlacedPod, ...] | None:
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


def _sets(site: Site, eligible: Sequence[PlacedPod], count: int) -> Iterator[tuple[PlacedPod, ...]]:
    """Yield the sets of so many pods that budgets allow; of equal pods the first ones go first."""
    kinds: dict[tuple[object, ...], list[PlacedPod]] = {}
    for pod in eligible:
        kinds.setdefault(_kind(site, pod), []).append(pod)
    for victims in islice(_drawn(tuple(kinds.values()), count), _SETS):
        if site.keeps_budgets(victims):
            yield victims


def _drawn(kinds: Sequence[Sequence[PlacedPod]], count: int) -> Iterator[tuple[PlacedPod, ...]]:
    """Yield every way to take `count` pods, of each kind from the front."""
    if not count:
        yield ()
    if not count or count > sum(map(len, kinds)):
        return
    for taken in range(min(count, len(kinds[0])), -1, -1):
        for rest in _drawn(kinds[1:], count - taken):
            yield (*kinds[0][:taken], *rest)


def _kind(site: Site, pod: PlacedPod) -> tuple[object, ...]:
    """Return all that decides what the departure of `pod` brings and costs, but its age."""
    budget = next((each.name for each in site.budgets if each.covers(pod)), "")
    held = pod.placement
    return (pod.priority, held.size, held.memory_bytes, held.shared, pod.namespace, budget)


def _thinned(site: Site, victims: Sequence[PlacedPod]) -> tuple[PlacedPod, ...]:
    """Return `victims` without those that need not go, the dearest spared first."""
    kept = tuple(victims)
    for pod in sorted(victims, key=lambda pod: (-pod.priority, -pod.placement.size.area)):
        rest = tuple(each for each in kept if each is not pod)
        if rest and site.fits_without(rest):
            kept = rest
    return kept


def _plan(site: Site, victims: tuple[PlacedPod, ...]) -> Plan:
    placed = place_on(site.ground.snapshot.gpu, site.demand.request)
    holders = site.ground.snapshot.layout.keys
    return Plan(site.ground.node, placed, victims, site.leaving, holders)


def _cost(found: Plan) -> tuple[int, int, int]:
    highest = max(pod.priority for pod in found.victims)
    return (highest, len(found.victims), _area(found.victims))


def _ages(found: Plan) -> list[str]:
    return sorted((pod.created for pod in found.victims), reverse=True)


def _area(victims: Sequence[PlacedPod]) -> int:
    return sum(pod.placement.size.area for pod in victims)
