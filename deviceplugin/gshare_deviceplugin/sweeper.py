"""Ends leases that are over and keeps the rest in line with pods, on a thread of its own.

At start, every minute, and at each change of a pod: leases whose containers are over end
(ending.py), changed quota limits are taken up, MPS ends the clients of pods that are about to be
killed, and GPUs that differ from their records are settled.
While a pod is over and its lease not yet, or a token daemon is away, it looks again soon.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gshare.errors import GshareError
from gshare.runtime import tokend

from . import ending
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

    def quota_limit(self, held: Lease) -> int:
        """Return the quota limit that a lease's pod says; the lease's own where it says none."""

    def killed_at_s(self, held: Lease) -> float | None:
        """Return when a lease's pod is killed, in seconds since the epoch; None if it stays."""


class Kubelet(Protocol):
    """Which container has which device IDs."""

    def list(self) -> Sequence[Held]:
        """Return every container that holds devices of ours; PodResourcesError."""


class Sweeper:
    """Sweeps when told, and by itself."""

    def __init__(
        self,
        keeper: Keeper,
        pods: Pods,
        kubelet: Kubelet,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._keeper = keeper
        self._pods = pods
        self._kubelet = kubelet
        self._on_end = on_end
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
        self._follow_pods()
        failed = [uuid for uuid in sorted(self._keeper.unsettled) if not self._settles(uuid)]
        return is_waiting or bool(failed)

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
            self._on_end()

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
        folder = self._keeper.gpu_folder(held.gpu_uuid)
        stats = tokend.Control(folder, timeout_s=_STATS_S).try_stats()
        if stats is None:
            return None
        try:
            return stats.lease(held.lease_id).processes
        except KeyError:
            return 0

    def _follow_pods(self) -> None:
        """Take up changed quota limits, and what is to be killed soon."""
        for held in self._keeper.leases:
            killed_at_s = self._pods.killed_at_s(held)
            if killed_at_s is not None:
                self._keeper.end_clients_at(held, killed_at_s)
            percent = self._pods.quota_limit(held)
            if percent != held.quota_limit_percent:
                _log.info("event=quota_limit lease=%s percent=%d", held.lease_id, percent)
                self._keeper.change_quota_limit(held, percent)

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
