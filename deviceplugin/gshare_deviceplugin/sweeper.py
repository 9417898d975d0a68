"""Ends leases that are over and keeps the rest in line with pods, on a thread of its own.

At start, every minute, and at each change of a pod: leases whose containers are over end
(ending.py), what running pods ask is judged and comes into force (changes.py), MPS ends the clients
of pods that are about to be killed, and GPUs that differ from their records are settled.
While a pod is over and its lease not yet, or a token daemon is away, it looks again soon.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gshare import terms
from gshare.annotations import PodPlacement
from gshare.errors import GshareError
from gshare.runtime import tokend
from gshare.terms import Refused

from . import ending
from .changes import Wish
from .ending import Fate, Signs
from .keeper import Keeper
from .lease import Lease, Owner
from .podresources import Held, PodResourcesError
from .upkeep import Upkeep

_SOON_S: Final = 0.3
_WHOLE_S: Final = 60.0
_STATS_S: Final = 1.0

_log = logging.getLogger(__name__)


class Pods(Protocol):
    """What became of pods, and what they say now."""

    def fate(self, owner: Owner, uid: str) -> Fate:
        """Return what became of the pod `uid`, which had the owner's name."""

    def wish(self, held: Lease) -> Wish | None:
        """Return what a lease's pod asks now; None where that is not known."""

    def placed(self) -> Mapping[str, PodPlacement]:
        """Return what the pods that are to run here were placed with, by UID."""

    def killed_at_s(self, held: Lease) -> float | None:
        """Return when a lease's pod is killed, in seconds since the epoch; None if it stays."""


class Kubelet(Protocol):
    """Which container has which device IDs."""

    def list(self) -> Sequence[Held]:
        """Return every container that holds devices of ours; PodResourcesError."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what a sweep has done."""

    ended: Callable[[], None] = lambda: None
    """A lease has ended."""
    changed: Callable[[], None] = lambda: None
    """Terms that are in force have changed, or a wish was refused, and the GPU has followed."""
    refused: Callable[[Lease, Refused], None] = lambda _held, _refused: None
    """A pod's wish was refused."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A lease before and after what its pod asks was judged."""

    before: Lease
    after: Lease
    wish: Wish


class Sweeper:
    """Sweeps when told, and by itself."""

    def __init__(
        self,
        keeper: Keeper,
        pods: Pods,
        kubelet: Kubelet,
        listeners: Listeners | None = None,
    ) -> None:
        self._keeper = keeper
        self._pods = pods
        self._kubelet = kubelet
        self._listeners = listeners or Listeners()
        self._over_since: dict[str, float] = {}  # by lease id, of leases that wait for their end
        self._troubles: dict[str, str] = {}  # by GPU, so that each is logged once
        self._whole_s = -_WHOLE_S
        self._upkeep = Upkeep("sweeper", self._step)

    def start(self) -> None:
        """Begin, with a whole sweep."""
        self._upkeep.start()

    def stop(self) -> None:
        """Stop; a sweep under way is finished."""
        self._upkeep.stop()

    def tell(self) -> None:
        """Sweep soon: something has changed."""
        self._upkeep.tell()

    def sweep(self, now_s: float, *, whole: bool = False) -> bool:
        """Sweep once; with `whole` compare everything. Return whether to look again soon."""
        if whole:
            self._keeper.unsettle_all()
            self._keeper.clean()
        is_waiting = self._end_those_over(now_s)
        self._warn_those_killed()
        is_open, changes = self._follow_wishes()
        failed = self._settle()
        if [each for each in changes if self._took_more(each)]:
            failed = self._settle()
        if changes:
            self._listeners.changed()
        return is_waiting or is_open or failed

    def _step(self) -> float:
        now_s = time.monotonic()
        whole = now_s - self._whole_s >= _WHOLE_S
        pause_s = _SOON_S
        try:
            if not self.sweep(now_s, whole=whole):
                pause_s = _WHOLE_S
            if whole:
                self._whole_s = now_s
        except Exception:  # noqa: BLE001 (the next sweep tries again)
            _log.exception("event=sweep_failed")
        return pause_s

    def _end_those_over(self, now_s: float) -> bool:
        """End leases; return whether one is left whose pod does not live any more."""
        known = self._keeper.leases
        left = False
        over_since = {}
        for held, signs in zip(known, self._signs(known), strict=True):
            since_s = self._over_since.get(held.lease_id, now_s)
            if ending.has_ended(signs, now_s - since_s):
                self._end(held)
                continue
            left = left or signs.fate is not Fate.LIVE
            if ending.is_over(signs):
                over_since[held.lease_id] = since_s
        self._over_since = over_since
        return left

    def _end(self, held: Lease) -> None:
        if self._keeper.end(held):
            _log.info("event=lease_ended lease=%s owner=%r", held.lease_id, str(held.owner))
            self._listeners.ended()

    def _signs(self, known: Sequence[Lease]) -> list[Signs]:
        fates = [self._pods.fate(held.owner, held.pod_uid) for held in known]
        listed = self._listed() if Fate.GONE in fates else None
        return [
            Signs(
                fate,
                None if listed is None else (held.owner, held.digest) in listed,
                self._processes(held) if fate in {Fate.ENDED, Fate.GONE} else None,
            )
            for held, fate in zip(known, fates, strict=True)
        ]

    def _listed(self) -> set[tuple[Owner, str]] | None:
        try:
            return {(held.owner, held.digest) for held in self._kubelet.list()}
        except PodResourcesError as error:
            _log.warning("event=kubelet_away error=%r", str(error))
            return None

    def _processes(self, held: Lease) -> int | None:
        stats = self._stats(held)
        if stats is None:
            return None
        try:
            return stats.lease(held.lease_id).processes
        except KeyError:
            return 0

    def _stats(self, held: Lease) -> tokend.Stats | None:
        folder = self._keeper.gpu_folder(held.gpu_uuid)
        return tokend.Control(folder, timeout_s=_STATS_S).try_stats()

    def _warn_those_killed(self) -> None:
        """Have MPS end the clients of pods that are to be killed soon."""
        for held in self._keeper.leases:
            killed_at_s = self._pods.killed_at_s(held)
            if killed_at_s is not None:
                self._keeper.end_clients_at(held, killed_at_s)

    def _follow_wishes(self) -> tuple[bool, list["_Change"]]:
        """Judge what pods ask anew; return whether to look again soon, and which terms changed."""
        is_open, changes = False, []
        for held in self._keeper.leases:
            wish = self._pods.wish(held)
            if wish is None or wish.texts == held.asked:
                continue
            changed = self._keeper.change(held, wish, self._pods.placed(), self._memory_of(held))
            if changed is None or changed.is_open:
                is_open = True
            if changed is None or changed.lease.standing == held.standing:
                continue
            changes.append(_Change(held, changed.lease, wish))
            in_force = changed.lease.standing.terms
            _log.info("event=terms lease=%s in_force=%r", held.lease_id, str(in_force))
            for refused in changed.refusals:
                self._listeners.refused(held, refused)
        return is_open, changes

    def _took_more(self, change: "_Change") -> bool:
        """Put memory back that a pod took while it was being given less; tell if it did."""
        held, before = change.after, change.before.standing.terms
        if held.memory_bytes >= before.memory_bytes:
            return False
        used_bytes = self._memory_of(held)
        if used_bytes is None or used_bytes <= held.memory_bytes:
            return False
        verdict = terms.held_more(held.standing, before, change.wish.texts, used_bytes)
        self._keeper.put_back(held, verdict.standing)
        for refused in verdict.refusals:
            self._listeners.refused(held, refused)
        return True

    def _memory_of(self, held: Lease) -> int | None:
        """Return the device memory that a lease's pod holds, None where nobody can tell."""
        stats = self._stats(held)
        found = [each for each in stats.leases if each.lease_id == held.lease_id] if stats else []
        return found[0].memory_bytes if found else None

    def _settle(self) -> bool:
        """Settle every GPU that needs it; tell whether one did not follow."""
        return bool([uuid for uuid in sorted(self._keeper.unsettled) if not self._settles(uuid)])

    def _settles(self, uuid: str) -> bool:
        trouble = ""
        try:
            self._keeper.settle(uuid)
        except GshareError as error:
            trouble = str(error)
        if trouble != self._troubles.get(uuid, ""):
            _log.warning("event=settled gpu=%s error=%r", uuid, trouble)
        self._troubles[uuid] = trouble
        return not trouble
