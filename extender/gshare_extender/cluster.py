"""The ledger under its lock, as the scheduler's calls, the watches and preemption share it.

Nothing here waits: no call of the API server is made while the lock is held. What has to be done
outside (touch a node on which room became free, look for pods to preempt) is told by callbacks,
which only take note.

Restart: all of it is rebuilt from the watches. A reservation that is lost with the process is that
of a pod that was filtered and not bound; its bind finds a place anew, or fails and is repeated.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gshare import preemption
from gshare.ledger import Candidate, Ledger, NodeRefusal, Ranking, RefusalKind, Reservation
from gshare.modes import MODES, Packer
from gshare.placement import Request
from gshare.policies import Preference
from gshare.runtime.kube.cache import Verb
from gshare.runtime.kube.objects import Node, Pod

from . import nominations
from .claims import Claim
from .pending import PendingPods
from .ranking import Ranker
from .reading import Offer
from .recovery import TURNED_AWAY, Resting
from .seen import SeenNode, SeenPod
from .settings import ExtenderSettings

_ANSWERS: Final = 65_536
"""Sets of functions for which a layout was searched, of which the answer is kept."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what happened, outside of the lock."""

    freed: Callable[[str], None] = lambda _node: None
    """Room became free on this node while pods wait."""
    lag: Callable[[float], None] = lambda _seconds: None
    """So long after its bind a pod was seen on its node."""


@dataclass(slots=True)
class Cluster:
    """Who holds what, and which pods are on their way. Any thread may call."""

    settings: ExtenderSettings
    listeners: Listeners = field(default_factory=Listeners)
    ledger: Ledger = field(init=False)
    clock: Callable[[], float] = time.monotonic
    day_clock: Callable[[], float] = time.time
    """Of the API server, which writes when a pod's grace period ends."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _pending: PendingPods = field(default_factory=PendingPods)
    _freed: list[str] = field(default_factory=list)
    _resting: Resting = field(default_factory=Resting)
    _offers: dict[str, Offer] = field(default_factory=dict)
    _ranker: Ranker = field(init=False)
    _is_laid_out: bool = False

    def __post_init__(self) -> None:
        """Begin with an empty ledger, in the mode of the settings."""
        self.ledger = Ledger(Packer(MODES[self.settings.mode], _ANSWERS))
        self._ranker = Ranker(self.settings.filter_nodes, self._resting)

    @contextmanager
    def locked(self) -> Iterator[Ledger]:
        """Lend the ledger; listeners are told once it is given back."""
        with self._lock:
            yield self.ledger
            freed, self._freed = self._freed, []
            waits = bool(freed) and self._pending.is_any_waiting(self.clock())
        for node in dict.fromkeys(freed if waits else ()):
            self.listeners.freed(node)

    # From the watches.

    def take_pod(self, verb: Verb, pod: Pod) -> None:
        """Take over what the API server says of a pod."""
        self.take_seen_pod(verb, SeenPod.of(pod))

    def take_seen_pod(self, verb: Verb, pod: SeenPod) -> None:
        """Take over what is to be remembered of a pod."""
        uid = pod.uid
        with self.locked() as ledger:
            if verb == "put" and pod.holds is not None:
                ledger.put(pod.holds)
                self._arrived(uid)
            elif verb == "drop" or pod.node:
                if pod.failed_for == TURNED_AWAY:
                    self._resting.turned_away(pod.node, self.clock())
                self._note_freed(ledger.drop_pod(uid))
                self._pending.forget(uid)
                self._prolong(uid)
            self._lay_out(ledger)

    def take_node(self, verb: Verb, node: Node) -> None:
        """Take over what the API server says of a node."""
        self.take_seen_node(verb, SeenNode.of(node))

    def take_seen_node(self, verb: Verb, node: SeenNode) -> None:
        """Take over what is to be remembered of a node."""
        name, offer = node.name, node.offer
        with self.locked() as ledger:
            if verb == "drop":
                ledger.drop_node(name)
                self._offers.pop(name, None)
                self._ranker.drop(name)
                self._resting.changed(name)
                return
            ledger.put_node(name, offer.inventory, *offer.units, offer.trouble)
            ledger.put_terms(name, offer.standings)
            ledger.put_resident(name, offer.resident)
            before = self._offers.get(name)
            is_other = before is None or before.capacity != offer.capacity
            if before != offer and (
                offer.relieves(before) or (is_other and self._resting.changed(name))
            ):
                self._note_freed(name)
            self._offers[name] = offer
            self._ranker.put(name)
            self._lay_out(ledger)

    def lay_out(self) -> None:
        """Lay out all that was listed, and from now on what changes as it does.

        While the lists are read nothing is laid out yet: a GPU once, and not for each of its pods.
        """
        with self.locked() as ledger:
            self._is_laid_out = True
            ledger.settle()

    def tick(self) -> int:
        """Give up what has expired; return how many reservations that were."""
        now = self.clock()
        with self.locked() as ledger:
            for each in ledger.reservations():
                if nominations.is_awaited(ledger, each, self.day_clock()):
                    self._hold_on(each)
            expired = ledger.expire(now)
            for node in (*(each.node for each in expired), *self._resting.over(now)):
                self._note_freed(node)
        return len(expired)

    # From the scheduler.

    def seen_on(self, uid: str) -> str | None:
        """Return the node on which a pod was seen already."""
        with self.locked() as ledger:
            pod = ledger.pod(uid)
        return pod.node if pod else None

    def offer(
        self, request: Request, nodes: Sequence[str], preference: Preference | None = None
    ) -> Ranking:
        """Return the best of `nodes` for a pod, and hold a place on the very best.

        A place that was held for it before is given up, unless its bind may still land there, or
        others were evicted for it and it finds no better one.
        """
        with self.locked() as ledger:
            pending = self._pending.note(request, self._default())
            pending.preference = preference or pending.preference
            before = ledger.reservation(request.key)
            is_bound_perhaps = pending.is_uncertain and ledger.is_sound(request.key)
            if is_bound_perhaps and before is not None and before.node in nodes:
                return Ranking.only(before)
            ledger.cancel(request.key)
            now_s, preference = self.clock(), pending.preference
            ranking = self._ranker.rank(ledger, request, nodes, preference, now_s)
            self._hold_best(request, ranking, before)
            ledger.settle()
            pending.answer(tuple(each.node for each in ranking.candidates), now_s)
            return ranking

    def could_take(self, request: Request, node: str, victims: Collection[str]) -> bool:
        """Tell whether `node` takes a pod once `victims` (UIDs) and those that leave are gone."""
        with self.locked() as ledger:
            if isinstance(ledger.fit(request, node), Candidate):
                return True
            grounds = list(ledger.grounds((node,)))
        mode = MODES[self.settings.mode]
        return preemption.is_enough(grounds, request, victims, self.day_clock(), mode)

    def offered(self, uid: str) -> tuple[str, ...]:
        """Return the nodes that were offered to a pod, best first."""
        with self.locked():
            pending = self._pending.get(uid)
            return pending.offered if pending else ()

    def request_of(self, uid: str) -> Request | None:
        """Return what a pod on its way asks, where it was filtered here."""
        with self.locked():
            pending = self._pending.get(uid)
            return pending.request if pending else None

    def claim(self, request: Request, node: str) -> Claim | NodeRefusal:
        """Hold a place for a pod on `node`, where everything seen by now allows it."""
        with self.locked() as ledger:
            if self._resting.rests(node, self.clock()):
                return NodeRefusal(node, RefusalKind.RESTING)
            held = ledger.reservation(request.key)
            if held and held.node == node and ledger.is_sound(request.key):
                placement = held.placement
            else:
                self._note_freed(ledger.cancel(request.key))
                pending = self._pending.get(request.key)
                preference = pending.preference if pending else self._default()
                answer = ledger.fit(request, node, preference)
                if isinstance(answer, NodeRefusal):
                    return answer
                placement = answer.placement(request)
            # Longer than the bind can take: the place stays held until the pod is seen there.
            expires = self.clock() + self.settings.uncertain_s
            ledger.reserve(Reservation(request.key, node, placement, expires))
            self._pending.note(request, self._default())
            return Claim(request.key, node, placement)

    def bound(self, uid: str) -> None:
        """Take note that a claim has become a binding."""
        with self.locked():
            pending = self._pending.get(uid)
            if pending:
                pending.bind(self.clock())

    def uncertain(self, uid: str) -> None:
        """Take note that nobody knows whether a claim has become a binding."""
        with self.locked():
            pending = self._pending.get(uid)
            if pending:
                pending.is_uncertain = True

    def nominate(self, reservation: Reservation, holders: Sequence[str]) -> bool:
        """Hold a place that its victims are to leave, if its GPU is still held by `holders`."""
        with self.locked() as ledger:
            if not nominations.is_as_planned(ledger, reservation, holders):
                return False
            ledger.reserve(reservation)
            return True

    def overrule(self, nodes: Sequence[str], priority: int) -> bool:
        """Give up places on `nodes` that are being made for lower priorities; tell if any was."""
        with self.locked() as ledger:
            lower = nominations.below(ledger, nodes, priority)
            for uid in lower:
                ledger.cancel(uid)
        return bool(lower)

    def release(self, uid: str) -> None:
        """Give a claim up."""
        with self.locked() as ledger:
            self._note_freed(ledger.cancel(uid))

    def _default(self) -> Preference:
        return Preference(self.settings.policy)

    def _lay_out(self, ledger: Ledger) -> None:
        """Lay out what an event has changed, on the thread that tells it, not on a pod's."""
        if self._is_laid_out:
            ledger.settle()

    def _hold_best(self, request: Request, ranking: Ranking, before: Reservation | None) -> None:
        if ranking.candidates:
            best = ranking.candidates[0]
            placement = best.placement(request)
            expires = self.clock() + self.settings.reservation_s
            self.ledger.reserve(Reservation(request.key, best.node, placement, expires))
        elif before is not None and before.victims:
            self.ledger.reserve(before)

    def _arrived(self, uid: str) -> None:
        pending = self._pending.forget(uid)
        if pending and pending.bound_at_s is not None:
            self.listeners.lag(self.clock() - pending.bound_at_s)

    def _note_freed(self, node: str | None) -> None:
        if node is not None:
            self._freed.append(node)

    def _prolong(self, victim: str) -> None:
        """Hold on, from now, to a place that was waiting for `victim` to leave."""
        for each in self.ledger.reservations():
            if victim in each.victims:
                self._hold_on(each)

    def _hold_on(self, reservation: Reservation) -> None:
        expires = max(reservation.expires_s, self.clock() + self.settings.nomination_s)
        self.ledger.reserve(replace(reservation, expires_s=expires))
