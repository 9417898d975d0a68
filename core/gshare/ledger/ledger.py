"""Who holds which rectangle of which GPU, from what the API server has; and where a pod fits.

Idea. The ledger is a picture of pods and nodes and of nothing else: events go in, in any order,
and answers come out. It can be thrown away and built anew from the API objects at any moment.
What API objects do not show yet (a pod that was filtered and is being bound, a place that is
being emptied for a pod of higher priority) is held by a reservation under the pod's UID, which
expires; the observed pod replaces it.

Invariant. What the ledger admits to a GPU has, with everything that stands there, a layout that
can be found again from the sizes alone (`layout.find_longer`), enough memory and MPS clients, and
enough of the node's plain sums; so the node, which knows the same pods, never has to refuse it,
and neither does a ledger that was built anew.

What is inconsistent (two placements that conflict, a GPU that has vanished, a pod without a
placement) shuts the GPU that it is on, counts in its node's sums, is told by `problems`, and
touches nothing else.

Order of choice (`rank`): the fullest GPU that takes the pod wins, then the fullest node, then the
name, so nodes fill tight one after another. Within a node the rule is `placement.choose`'s.

Worked example. Nodes a and b have one idle GPU each. A pod of 60 by 50 goes to a, by name. One of
40 by 12 goes to a as well, since its GPU is fuller. One of 60 by 60 finds 60 by 50 free on a and
goes to b.

Cost. Verdicts are kept per state of a GPU (`state.py`) and per node until the node changes; a
thousand equal nodes cost one verdict and a thousand look-ups. An index over all GPUs would take
the place of `_options`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gshare.annotations import NodeGpu, PodPlacement, Standing
from gshare.layout import Verdicts
from gshare.placement import RELAYOUT_CANDIDATES, Request, Snapshot

from .node import NodeBook, Option
from .state import States
from .values import (
    Candidate,
    Ground,
    NodeRefusal,
    PlacedPod,
    Problem,
    Ranking,
    RefusalKind,
    Reservation,
    UnplacedPod,
)

# In how many different states of fullest GPUs a new layout is searched for one request, where no
# GPU takes it as it lies. A search that fails takes some milliseconds, once for each state.
LAST_RELAYOUTS: Final = 64


@dataclass(slots=True)
class _Search:
    """What one ranking may still spend on new layouts, by the states it has tried."""

    most: int
    tried: set[int] = field(default_factory=set)

    def allows(self, option: Option) -> bool:
        """Tell whether `option` may be looked at; one state counts once."""
        if not option.is_relaid or id(option.book.state) in self.tried:
            return True
        if len(self.tried) == self.most:
            return False
        self.tried.add(id(option.book.state))
        return True


class Ledger:
    """The picture of pods, nodes and reservations. One thread at a time; see the module."""

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        self._verdicts = verdicts or Verdicts(capacity=65536)
        self._states = States()
        self._nodes: dict[str, NodeBook] = {}
        self._node_of: dict[str, str] = {}
        self._reserved_on: dict[str, str] = {}

    # Events.

    def put_node(
        self,
        name: str,
        inventory: Sequence[NodeGpu],
        allocatable_sm: int,
        allocatable_quota: int,
        trouble: str = "",
    ) -> None:
        """Take note of a node; `trouble` says why its inventory could not be read, if so."""
        self._book(name).offer(inventory, (allocatable_sm, allocatable_quota), trouble)

    def put_terms(self, name: str, standings: Mapping[str, Standing]) -> None:
        """Take note of what a node says of its pods' terms, by UID."""
        self._book(name).stand(standings)

    def drop_node(self, name: str) -> None:
        """Take note that a node is gone."""
        if name in self._nodes:
            self._nodes[name].forget()
            self._tidy(name)

    def put(self, pod: PlacedPod | UnplacedPod) -> None:
        """Take note of a live pod on a node; its reservation has done its work."""
        before = self._nodes.get(self._node_of.get(pod.uid, ""))
        if before is not None and before.seen(pod.uid) == pod:
            return
        self.drop_pod(pod.uid)
        self._book(pod.node).put(pod)
        self._node_of[pod.uid] = pod.node

    def drop_pod(self, uid: str) -> str | None:
        """Take note that a pod is gone or terminal; return the node on which that frees room."""
        reserved_on = self.cancel(uid)
        name = self._node_of.pop(uid, None)
        if name is None:
            return reserved_on
        self._nodes[name].drop(uid)
        self._tidy(name)
        return name

    # Reservations.

    def reserve(self, reservation: Reservation) -> None:
        """Hold a place for a pod, in the place of an earlier reservation of the same pod.

        A pod that is seen on a node needs none: nothing is done.
        """
        self.cancel(reservation.uid)
        if reservation.uid in self._node_of:
            return
        book = self._book(reservation.node)
        book.reserved[reservation.uid] = reservation
        book.touch()
        self._reserved_on[reservation.uid] = reservation.node

    def cancel(self, uid: str) -> str | None:
        """Give up the pod's reservation; return the node on which that frees room."""
        name = self._reserved_on.pop(uid, None)
        if name is None:
            return None
        book = self._nodes[name]
        del book.reserved[uid]
        book.touch()
        self._tidy(name)
        return name

    def expire(self, now_s: float) -> tuple[Reservation, ...]:
        """Give up the reservations whose time is over, and return them."""
        over = tuple(each for each in self.reservations() if each.expires_s <= now_s)
        for each in over:
            self.cancel(each.uid)
        return over

    # Answers.

    def rank(self, request: Request, nodes: Iterable[str], limit: int) -> Ranking:
        """Return the best `limit` of `nodes` for `request`, whose key is the pod's UID.

        A reservation of that pod counts as held: cancel it first.
        """
        options, refusals = self._options(request, nodes)
        direct = any(not option.is_relaid for _, option in options)
        search = _Search(RELAYOUT_CANDIDATES if direct else LAST_RELAYOUTS)
        candidates: dict[str, Candidate] = {}
        for name, option in options:
            if len(candidates) == limit:
                return Ranking(tuple(candidates.values()), tuple(refusals))
            if name not in candidates and self._admits(option, request, search):
                candidates[name] = _candidate(name, option, request)
        without_layout = {name for name, _ in options} - candidates.keys()
        refusals += [NodeRefusal(name, RefusalKind.FULL) for name in sorted(without_layout)]
        return Ranking(tuple(candidates.values()), tuple(refusals))

    def fit(self, request: Request, node: str) -> Candidate | NodeRefusal:
        """Return what `request` gets on `node`, or why nothing."""
        ranking = self.rank(request, (node,), 1)
        return ranking.candidates[0] if ranking.candidates else ranking.refusals[0]

    def grounds(self, nodes: Iterable[str]) -> Iterator[Ground]:
        """Yield the GPUs of `nodes` on which preemption may make room."""
        for name in nodes:
            if name in self._nodes:
                yield from self._nodes[name].grounds()

    def is_sound(self, uid: str) -> bool:
        """Tell whether the pod's reservation can be kept with everything that is seen by now."""
        reservation = self.reservation(uid)
        if reservation is None:
            return False
        node = self._nodes[reservation.node]
        book = node.book(reservation.placement.gpu_uuid)
        is_free = book is not None and not book.problems() and not book.is_held
        return is_free and min(node.units_free()) >= 0

    # Views.

    def nodes(self) -> tuple[str, ...]:
        """Return the nodes that are seen, by name."""
        return tuple(sorted(name for name, book in self._nodes.items() if book.is_known))

    def snapshots(self, node: str) -> tuple[Snapshot, ...]:
        """Return the GPUs of `node` with the layout of what is on each, keyed by pod UID."""
        book = self._nodes.get(node)
        return tuple(each.snapshot for each in book.books()) if book else ()

    def inventory(self, node: str) -> tuple[NodeGpu, ...]:
        """Return what `node` says of its GPUs."""
        book = self._nodes.get(node)
        return tuple(each.gpu for each in book.books()) if book else ()

    def placed(self) -> Iterator[PlacedPod]:
        """Yield every pod that holds a rectangle, as it counts now."""
        for book in self._nodes.values():
            yield from book.placed.values()

    def pod(self, uid: str) -> PlacedPod | UnplacedPod | None:
        """Return what is seen of a pod on a node, as it counts now."""
        book = self._nodes.get(self._node_of.get(uid, ""))
        return (book.placed.get(uid) or book.unplaced.get(uid)) if book else None

    def reservation(self, uid: str) -> Reservation | None:
        """Return the pod's reservation."""
        name = self._reserved_on.get(uid)
        return self._nodes[name].reserved[uid] if name is not None else None

    def reservations(self) -> tuple[Reservation, ...]:
        """Return every reservation."""
        return tuple(self._nodes[name].reserved[uid] for uid, name in self._reserved_on.items())

    def problems(self) -> tuple[Problem, ...]:
        """Return everything that is inconsistent, by node."""
        return tuple(each for name in sorted(self._nodes) for each in self._nodes[name].problems())

    def placement_for(self, candidate: Candidate, request: Request) -> PodPlacement:
        """Return the placement that `candidate` means for `request`."""
        return PodPlacement(
            candidate.gpu_uuid,
            request.sm_percent,
            request.quota_percent,
            candidate.memory_bytes,
        )

    def _options(
        self, request: Request, nodes: Iterable[str]
    ) -> tuple[list[tuple[str, Option]], list[NodeRefusal]]:
        """Return every GPU that may take `request`, best first, and the nodes that have none."""
        ranked: list[tuple[tuple[int, int, str, int], Option]] = []
        refusals: list[NodeRefusal] = []
        for name in nodes:
            book = self._nodes.get(name)
            if book is None:
                refusals.append(NodeRefusal(name, RefusalKind.NO_GPU))
                continue
            options = book.options(request)
            if isinstance(options, RefusalKind):
                refusals.append(NodeRefusal(name, options))
                continue
            used = book.used_area
            ranked += [
                ((-option.worth, -used, name, place), option)
                for place, option in enumerate(options)
            ]
        ranked.sort(key=lambda entry: entry[0])
        return [(worth[2], option) for worth, option in ranked], refusals

    def _admits(self, option: Option, request: Request, search: _Search) -> bool:
        state = option.book.state
        if state is None or not search.allows(option):
            return False
        return state.holds(request.size, self._verdicts, as_it_lies=not option.is_relaid)

    def _book(self, name: str) -> NodeBook:
        if name not in self._nodes:
            self._nodes[name] = NodeBook(name, self._verdicts, self._states)
        return self._nodes[name]

    def _tidy(self, name: str) -> None:
        if self._nodes[name].is_empty:
            del self._nodes[name]


def _candidate(name: str, option: Option, request: Request) -> Candidate:
    gpu = option.book.gpu.gpu
    return Candidate(
        name, gpu.uuid, request.memory_on(gpu), option.book.used_area, option.is_relaid
    )
