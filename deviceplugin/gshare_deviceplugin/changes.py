"""Whether what a running pod asks comes into force: its lease then, and where all lie. Pure.

The rule is `gshare.terms`; here is what a node knows for it. A GPU has room for a larger rectangle
where some layout holds it beside all other leases and the pods that are bound to it and have not
started, found from the sizes alone, as the extender will look for it. Of those that fit, the layout
is taken in which the others keep their places. A smaller rectangle stays in the corner of the old
one, so that nobody moves. A GPU that lies in rectangles grows in rectangles, and only one that lies
in slices in slices: an extender that knows only rectangles must find room for the larger one too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gshare import modes, terms
from gshare.annotations import PodPlacement, Standing
from gshare.modes import Packer, Timetable
from gshare.rectangles import Size
from gshare.terms import Refused, Room

from .charge import Charge, Holder
from .lease import Lease


@dataclass(frozen=True, slots=True)
class Wish:
    """What a pod asks now (`terms.texts`), and what it was placed with."""

    texts: Mapping[str, str]
    placed: PodPlacement


@dataclass(frozen=True, slots=True)
class Beside:
    """What else there is on a lease's GPU; `layout` has where the leases lie, the lease among them.

    `bound` are pods, by UID, that were placed on it and have no lease yet.
    """

    charge: Charge
    leases: Sequence[Lease]
    bound: Mapping[str, PodPlacement]
    layout: Timetable
    packer: Packer
    """Of the mode in which `layout` is."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A lease on the terms that are in force from now on, and the layout with it.

    `is_open` tells that something could not be judged yet; `asked` of the lease then lacks it.
    """

    lease: Lease
    layout: Timetable
    refusals: tuple[Refused, ...] = ()
    is_open: bool = False


def judge(held: Lease, wish: Wish, beside: Beside, used_bytes: int | None) -> Changed:
    """Return what comes into force of `wish`; `used_bytes` is the memory that the pod holds now."""
    holders: list[Holder] = [*beside.leases, *beside.bound.values(), held]
    room = Room(
        fits=lambda quota: _larger(held, quota, beside) is not None,
        memory_left_bytes=beside.charge.left_bytes(holders) + held.memory_bytes,
        memory_used_bytes=used_bytes,
    )
    keys = terms.to_judge(held.asked, wish.texts, held.standing, wish.placed)
    verdict = terms.judge(held.standing, wish.texts, wish.placed, room, keys)
    return Changed(
        held.on_terms(verdict.standing, _judged(held, wish, verdict.open)),
        _layout(held, verdict.standing.terms.quota_request_percent, beside),
        verdict.refusals,
        bool(verdict.open),
    )


def standings(
    stood: Mapping[str, Standing],
    leases: Sequence[Lease],
    placed: Mapping[str, PodPlacement],
    *,
    is_complete: bool,
) -> dict[str, Standing]:
    """Return the terms that others must be told, by UID of the pod.

    `placed` are the node's pods, all of them if `is_complete`. Of a pod whose lease is yet to be
    made again (the node was booted), what `stood` there before goes on.
    """
    kept = {uid: each for uid, each in stood.items() if uid in placed or not is_complete}
    for each in leases:
        uid = each.pod_uid
        if uid not in placed:
            continue
        kept.pop(uid, None)
        if terms.differs(placed[uid], each.standing):
            kept[uid] = each.standing
    return kept


def _judged(held: Lease, wish: Wish, unjudged: frozenset[str]) -> Mapping[str, str] | None:
    """Return the texts that count as judged; the others differ from what is asked."""
    if not unjudged:
        return dict(wish.texts)
    if held.asked is None:
        return None
    before = {key: text for key, text in held.asked.items() if key in unjudged}
    return {key: text for key, text in wish.texts.items() if key not in unjudged} | before


def _layout(held: Lease, quota: int, beside: Beside) -> Timetable:
    if quota == held.quota_request_percent:
        return beside.layout
    if quota < held.quota_request_percent:
        return _smaller(held, quota, beside)
    sizes = {each.lease_id: each.size for each in beside.leases} | _sized(held, quota)
    return modes.remaining(_larger(held, quota, beside) or beside.layout, sizes)


def _smaller(held: Lease, quota: int, beside: Beside) -> Timetable:
    if modes.sizes_of(beside.layout).get(held.lease_id) != held.size:
        return beside.layout  # not settled yet, which will find it a place
    return beside.layout.narrowed(held.lease_id, quota)


def _larger(held: Lease, quota: int, beside: Beside) -> Timetable | None:
    """Return the layout of all with a larger `held`, bound pods included; None without room."""
    sizes = {each.lease_id: each.size for each in beside.leases}
    sizes |= {uid: each.size for uid, each in beside.bound.items()}
    sizes |= _sized(held, quota)
    if not beside.packer.holds(sizes.values(), search_longer=True):
        return None
    kept = modes.remaining(beside.layout, sizes)
    return modes.beside(kept, sizes) or beside.packer.settled(kept, sizes)


def _sized(held: Lease, quota: int) -> dict[str, Size]:
    return {held.lease_id: replace(held, quota_request_percent=quota).size}
