"""Who holds which rectangle of which GPU, from what the API server has; and where a pod fits.

Idea. The ledger is a picture of pods and nodes and of nothing else: events go in, in any order,
and answers come out. It can be thrown away and built anew from the API objects at any moment.
What API objects do not show yet (a pod that was filtered and is being bound, a place that is
being emptied for a pod of higher priority) is held by a reservation under the pod's UID, which
expires; the observed pod replaces it.

Invariant. What the ledger admits to a GPU has, with everything that stands there, a layout that
can be found again from the sizes alone (`layout.find_longer`), enough memory and MPS clients, and
enough of the node's plain sums; so the node, which knows the same pods, never has to refuse it,
and neither does a ledger that was built anew. Of memory a pod counts with its own, and the weights
of a model with which several pods of a GPU come count once there (`models`).

What is inconsistent (two placements that conflict, a GPU that has vanished, a pod without a
placement) shuts the GPU that it is on, counts in its node's sums, is told by `problems`, and
touches nothing else.

Order of choice (`rank`): by the policy `binpack` the fullest GPU that takes the pod wins, then the
fullest node, then the name, so nodes fill tight one after another. Within a node the rule is
`placement.choose`'s. `policies` has the other policies, `search` the exact order.

Worked example. Nodes a and b have one idle GPU each. A pod of 60 by 50 goes to a, by name. One of
40 by 12 goes to a as well, since its GPU is fuller. One of 60 by 60 finds 60 by 50 free on a and
goes to b.

Cost. What decides is written to an index of all GPUs (`index`) when a node has changed, at the
next question (`settle`), for the GPUs whose state (`state`) is another one. A question is then a
handful of comparisons of whole columns: 0.2 ms for 40,000 GPUs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gshare.annotations import NodeGpu, Standing
from gshare.modes import RECT, Packer
from gshare.placement import Request, Snapshot
from gshare.policies import Preference

from . import admission
from .board import Boards
from .index import Index
from .judging import Asked
from .listings import Listings
from .node import NodeBook
from .picture import Picture, Shown
from .search import Search
from .state import GpuState, States
from .values import (
    Candidate,
    Ground,
    NodeRefusal,
    PlacedPod,
    Problem,
    Ranking,
    Reservation,
    UnplacedPod,
)


class Ledger:
    """The picture of pods, nodes and reservations. One thread at a time; see the module."""

    def __init__(self, packer: Packer | None = None) -> None:
        self._packer = Packer(RECT, capacity=65536) if packer is None else packer
        self._states = States()
        self._index = Index()
        self._boards = Boards(self._index)
        self._listings = Listings()
        self._stale: set[str] = set()
        self._troubled: set[str] = set()
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
        units = (allocatable_sm, allocatable_quota)
        self._outdate(self._book(name).offer(inventory, units, trouble))

    def put_terms(self, name: str, standings: Mapping[str, Standing]) -> None:
        """Take note of what a node says of its pods' terms, by UID."""
        self._book(name).stand(standings)

    def put_resident(self, name: str, resident: Mapping[str, Mapping[str, int]]) -> None:
        """Take note of the models that the stores of a node's GPUs keep: bytes by UUID and name."""
        self._book(name).load(resident)

    def drop_node(self, name: str) -> None:
        """Take note that a node is gone."""
        if name in self._nodes:
            self._outdate(self._book(name).forget())
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
        self._book(name).drop(uid)
        self._tidy(name)
        return name

    # Reservations.

    def reserve(self, reservation: Reservation) -> None:
        """Hold a place for a pod, in the place of an earlier reservation of the same pod.

        A pod that is seen on a node needs none: nothing is done.
        """
        before = self.reservation(reservation.uid)
        if before is not None and replace(before, expires_s=reservation.expires_s) == reservation:
            self._nodes[reservation.node].prolong(reservation)
            return
        self.cancel(reservation.uid)
        if reservation.uid in self._node_of:
            return
        self._book(reservation.node).reserve(reservation)
        self._reserved_on[reservation.uid] = reservation.node

    def cancel(self, uid: str) -> str | None:
        """Give up the pod's reservation; return the node on which that frees room."""
        name = self._reserved_on.pop(uid, None)
        if name is None:
            return None
        self._book(name).cancel(uid)
        self._tidy(name)
        return name

    def expire(self, now_s: float) -> tuple[Reservation, ...]:
        """Give up the reservations whose time is over, and return them."""
        over = tuple(each for each in self.reservations() if each.expires_s <= now_s)
        for each in over:
            self.cancel(each.uid)
        return over

    def settle(self) -> None:
        """Lay out what has changed, and write it to the index; each question does that first."""
        for name in self._stale:
            book = self._nodes.get(name)
            if book is None:
                self._index.drop(name)
                self._troubled.discard(name)
                continue
            self._index.put(name, book.row())
            if any(book.problems()):
                self._troubled.add(name)
            else:
                self._troubled.discard(name)
        self._stale.clear()

    # Answers.

    def rank(
        self,
        request: Request,
        nodes: Sequence[str],
        limit: int,
        preference: Preference = Preference(),  # noqa: B008 (a frozen value)
    ) -> Ranking:
        """Return the best `limit` of `nodes` for `request`, whose key is the pod's UID.

        A reservation of that pod counts as held: cancel it first.
        """
        self.settle()
        view = self._index.view(nodes)
        search = Search(self._index, self._boards.of(Asked.by(request, preference)), view)
        candidates = admission.best(search, view, self._index, self._packer, request, limit)
        return Ranking(candidates, {} if candidates else search.refusals())

    def fit(
        self,
        request: Request,
        node: str,
        preference: Preference = Preference(),  # noqa: B008 (a frozen value)
    ) -> Candidate | NodeRefusal:
        """Return what `request` gets on `node`, or why nothing."""
        ranking = self.rank(request, (node,), 1, preference)
        if ranking.candidates:
            return ranking.candidates[0]
        return NodeRefusal(node, ranking.refusals[node])

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
        is_free = book is not None and book.is_open and not book.problems()
        has_lost_store = (
            book is not None
            and book.gpu.store_bytes is None
            and reservation.placement.shared is not None
        )
        return is_free and not has_lost_store and min(node.units_free()) >= 0

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
        self.settle()
        names = sorted(self._troubled)
        return tuple(each for name in names for each in self._nodes[name].problems())

    def picture(self) -> Picture:
        """Return all of this as it is now, in some ten milliseconds for 40,000 GPUs."""
        self.settle()
        shown: dict[str, Shown] = {}
        pods: dict[str, PlacedPod | UnplacedPod] = {}
        for name, node in self._nodes.items():
            pods.update(node.placed)
            pods.update(node.unplaced)
            if node.is_known:
                books = node.books()
                shown[name] = (
                    tuple([book.gpu for book in books]),
                    tuple([book.snapshot for book in books]),
                )
        return Picture(shown, pods, self.reservations(), self.problems())

    def states(self) -> dict[str, Sequence[GpuState]]:
        """Return the states of the GPUs of each node that has some; states do not change."""
        self.settle()
        return self._index.states()

    def _outdate(self, doubled: Iterable[tuple[str, str]]) -> None:
        """Tell nodes of GPUs that have become doubled, or are so no more."""
        for node, uuid in doubled:
            self._book(node).outdate(uuid)

    def _book(self, name: str) -> NodeBook:
        """Return the book of a node, which is about to change."""
        self._stale.add(name)
        if name not in self._nodes:
            self._nodes[name] = NodeBook(name, self._packer, self._states, self._listings)
        return self._nodes[name]

    def _tidy(self, name: str) -> None:
        if self._nodes[name].is_empty:
            del self._nodes[name]
