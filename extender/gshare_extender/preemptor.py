"""Makes room for pods of higher priority that no node takes, by the Eviction API, once each.

The scheduler cannot: it does not count our resources. One pod is looked at at a time. The place
is held for it before anyone is evicted, so that no smaller pod takes it; all evictions are tried
dry before the first is done; a pod whose budget refuses is spared and the next set is looked for,
a few times. Where nothing can be done, the pod is left alone for longer each time.

A set may still break off half way, where a budget changes between trial and eviction: the pods
that are gone then went in vain, which no order of calls can exclude.
"""

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Final

from gshare import preemption
from gshare.ledger import Ground, PlacedPod, Reservation
from gshare.modes import MODES, Packer
from gshare.preemption import Budget, Plan, Waiting
from gshare.runtime.kube import ApiError, EventWriter, Regarding

from .cluster import Cluster
from .metrics import Counts
from .verbs import Demand
from .writer import Writer

_NEVER: Final = "Never"
_SETS: Final = 4
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 60.0
_QUEUED: Final = 1000
_TRIES: Final = 5
_TRY_S: Final = 0.5
_REFUSED: Final = 429
_GONE: Final = frozenset({404, 409})
ACTION: Final = "Preempting"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Patience:
    """How long a pod is left alone."""

    until_s: float = 0.0
    wait_s: float = _FIRST_WAIT_S


class Preemptor:
    """Works on a thread of its own; `consider` only takes note."""

    def __init__(
        self, cluster: Cluster, writer: Writer, events: EventWriter, counts: Counts
    ) -> None:
        self._cluster = cluster
        self._writer = writer
        self._events = events
        self._counts = counts
        self._packer = Packer(MODES[cluster.settings.mode])
        self._queue: queue.Queue[Demand | None] = queue.Queue(_QUEUED)
        self._patience: dict[str, _Patience] = {}
        self._thread = threading.Thread(target=self._run, name="preemptor", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._queue.put(None)

    def consider(self, demand: Demand) -> None:
        """See soon whether others should make room for a pod; nothing where it does not want."""
        if demand.pod.spec.preemption_policy == _NEVER:
            return
        try:
            self._queue.put_nowait(demand)
        except queue.Full:
            _log.warning("event=preemption_skipped reason=queue_full")

    def _run(self) -> None:
        while (demand := self._queue.get()) is not None:
            try:
                self._handle(demand)
            except ApiError as error:
                _log.warning("event=preemption_failed error=%r", str(error))
                self._be_patient(demand)
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=preemption_failed")

    def _handle(self, demand: Demand) -> None:
        uid = demand.request.key
        patience = self._patience.get(uid, _Patience())
        if time.monotonic() < patience.until_s or not self._is_waiting(uid):
            return
        if not self._could_help(demand):
            return
        budgets = self._writer.budgets()
        spared: frozenset[str] = frozenset()
        for _ in range(_SETS):
            answer = self._plan(demand, budgets, spared)
            if answer is None and self._overrule(demand):
                continue
            if not isinstance(answer, Plan):
                self._count("waits" if isinstance(answer, Waiting) else "impossible")
                break
            refused = self._perform(demand, answer)
            if refused is None:
                self._patience.pop(uid, None)
                return
            spared |= {refused}
        self._be_patient(demand)

    def _grounds(self, demand: Demand) -> list[Ground]:
        with self._cluster.locked() as ledger:
            return list(ledger.grounds(demand.nodes))

    def _could_help(self, demand: Demand) -> bool:
        """Tell whether there is anyone of lower priority, or a place that is made for one."""
        lower = any(
            pod.priority < demand.pod.spec.priority
            for ground in self._grounds(demand)
            for pod in ground.pods.values()
        )
        return lower or self._overrule(demand)

    def _overrule(self, demand: Demand) -> bool:
        return self._cluster.overrule(demand.nodes, demand.pod.spec.priority)

    def _is_waiting(self, uid: str) -> bool:
        """Tell whether the pod is still without a place, and without one that is being made."""
        with self._cluster.locked() as ledger:
            return ledger.pod(uid) is None and ledger.reservation(uid) is None

    def _plan(
        self, demand: Demand, budgets: list[Budget], spared: frozenset[str]
    ) -> Plan | Waiting | None:
        wanted = preemption.Demand(demand.request, demand.pod.spec.priority, spared)
        now_s = self._cluster.day_clock()
        return preemption.plan(self._grounds(demand), wanted, budgets, self._packer, now_s)

    def _perform(self, demand: Demand, plan: Plan) -> str | None:
        """Hold the place and evict; return the UID of a pod that may not be evicted, if so."""
        if not self._nominate(demand, plan):
            self._count("overtaken")
            return ""
        refused = self._try_all(demand, plan) or self._evict_all(demand, plan)
        if refused is not None:
            self._cluster.release(demand.request.key)
        self._count("done" if refused is None else "refused")
        return refused

    def _try_all(self, demand: Demand, plan: Plan) -> str | None:
        """Ask whether all may be evicted; return the UID of one that may not."""
        try:
            return next(
                (pod.uid for pod in plan.victims if not self._evict(pod, is_trial=True)), None
            )
        except ApiError:
            self._cluster.release(demand.request.key)
            raise

    def _evict_all(self, demand: Demand, plan: Plan) -> str | None:
        for victim in plan.victims:
            if not self._evict(victim, is_trial=False):
                return victim.uid
            self._tell(demand, plan, victim)
        return None

    def _nominate(self, demand: Demand, plan: Plan) -> bool:
        """Hold the place, unless its GPU has changed since the plan was made."""
        uid = demand.request.key
        gone = frozenset(pod.uid for pod in (*plan.victims, *plan.leaving))
        expires = self._cluster.clock() + self._cluster.settings.nomination_s
        return self._cluster.nominate(
            Reservation(uid, plan.node, plan.placement, expires, gone, demand.pod.spec.priority),
            plan.holders,
        )

    def _evict(self, victim: PlacedPod, *, is_trial: bool) -> bool:
        """Evict a pod, at several tries; False where its budget refuses. ApiError if unclear."""
        for left in reversed(range(1 if is_trial else _TRIES)):
            try:
                self._writer.evict(victim, is_trial=is_trial)
            except ApiError as error:
                if error.status in _GONE:
                    return True
                if not left and error.status == _REFUSED:
                    return False
                if not left:
                    raise
                time.sleep(_TRY_S)
            else:
                return True
        return False

    def _tell(self, demand: Demand, plan: Plan, victim: PlacedPod) -> None:
        meta = demand.pod.metadata
        where = f"on {plan.node} ({plan.gpu_uuid})"
        self._counts.victims.inc()
        _log.info(
            "event=preempted pod=%s/%s for=%s/%s node=%s gpu=%s",
            victim.namespace,
            victim.name,
            meta.namespace,
            meta.name,
            plan.node,
            plan.gpu_uuid,
        )
        self._events.post(
            Regarding("Pod", victim.name, victim.namespace, victim.uid),
            "Normal",
            "Preempted",
            ACTION,
            f"evicted {where} for pod {meta.namespace}/{meta.name} of higher priority "
            f"({demand.pod.spec.priority}, this one has {victim.priority})",
        )
        self._events.post(
            Regarding.pod(meta),
            "Normal",
            "Preempting",
            ACTION,
            f"evicted pod {victim.namespace}/{victim.name} {where} to make room",
        )

    def _be_patient(self, demand: Demand) -> None:
        """Leave a pod alone for a while, and for longer the next time."""
        now = time.monotonic()
        patience = self._patience.setdefault(demand.request.key, _Patience())
        patience.until_s = now + patience.wait_s
        patience.wait_s = min(2 * patience.wait_s, _LONGEST_WAIT_S)
        for uid in [uid for uid, each in self._patience.items() if each.until_s + 600 < now]:
            del self._patience[uid]

    def _count(self, outcome: str) -> None:
        self._counts.preemptions.labels(outcome).inc()
