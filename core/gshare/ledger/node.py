"""One node as the ledger sees it: its GPUs, its pods, and its plain sums of both resources."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gshare.annotations import NodeGpu, PodPlacement, Standing
from gshare.modes import Packer

from .gpu import NOTHING, GpuBook
from .index import NodeRow
from .listings import Listings
from .state import States
from .values import (
    Ground,
    PlacedPod,
    Problem,
    ProblemKind,
    Reservation,
    UnplacedPod,
)

_NAMED: Final = 3


class NodeBook:
    """What is on one node. Pods may be there before the node itself is seen."""

    def __init__(self, name: str, packer: Packer, states: States, listings: Listings) -> None:
        self.name = name
        self.is_known = False
        self.placed: dict[str, PlacedPod] = {}
        """Each as it counts now."""
        self.unplaced: dict[str, UnplacedPod] = {}
        self.reserved: dict[str, Reservation] = {}
        self._packer, self._states, self._listings = packer, states, listings
        self._books: dict[str, GpuBook] = {}
        self._allocatable = (0, 0)
        self._trouble = ""
        self._exchanged: dict[str, tuple[str, frozenset[str]]] = {}
        """The model that a GPU was of, by UUID, and the pods that came to it then."""
        self._resident: Mapping[str, Mapping[str, int]] = {}
        self._stale: set[str] = set()
        self._seen: dict[str, PlacedPod] = {}
        self._standings: Mapping[str, Standing] = {}
        self._units_free: tuple[int, int] | None = None

    def put(self, pod: PlacedPod | UnplacedPod) -> None:
        """Take note of a pod on it, in the place of what was seen of that pod before."""
        self.drop(pod.uid)
        if isinstance(pod, PlacedPod):
            self._seen[pod.uid] = pod
            self.placed[pod.uid] = pod.counted(self._standings.get(pod.uid))
            self._outdate(pod.placement)
            self._outdate_awaiting(pod.uid)
        else:
            self.unplaced[pod.uid] = pod
            self._units_free = None

    def drop(self, uid: str) -> None:
        """Take note that a pod is gone."""
        self._seen.pop(uid, None)
        if self.unplaced.pop(uid, None) is not None:
            self._units_free = None
        pod = self.placed.pop(uid, None)
        if pod is not None:
            self._outdate(pod.placement)
            self._outdate_awaiting(uid)

    def reserve(self, reservation: Reservation) -> None:
        """Hold a place, in the place of what was held for that pod before."""
        self.cancel(reservation.uid)
        self.reserved[reservation.uid] = reservation
        self._outdate(reservation.placement)

    def prolong(self, reservation: Reservation) -> None:
        """Hold for longer, or shorter, what is held already."""
        self.reserved[reservation.uid] = reservation

    def cancel(self, uid: str) -> None:
        """Hold no place for a pod any more, if one is held."""
        reservation = self.reserved.pop(uid, None)
        if reservation is not None:
            self._outdate(reservation.placement)

    def seen(self, uid: str) -> PlacedPod | UnplacedPod | None:
        """Return a pod as it was put."""
        return self._seen.get(uid) or self.unplaced.get(uid)

    def stand(self, standings: Mapping[str, Standing]) -> None:
        """Take note of what the node says of its pods' terms, by UID."""
        if standings == self._standings:
            return
        self._standings = standings
        self.placed = {uid: pod.counted(standings.get(uid)) for uid, pod in self._seen.items()}
        self._outdate_all()

    def offer(
        self, inventory: Sequence[NodeGpu], allocatable: tuple[int, int], trouble: str
    ) -> Sequence[tuple[str, str]]:
        """Take over what the node offers now; `trouble` says why its inventory is unreadable.

        Return the GPUs of other nodes for which that matters, by node and UUID.
        """
        gpus = {gpu.uuid: gpu for gpu in inventory}
        unchanged = list(gpus.values()) == [book.gpu for book in self._books.values()]
        known = (self.is_known, self._allocatable, self._trouble)
        if unchanged and known == (True, allocatable, trouble):
            return ()
        self._note_exchanged(gpus)
        before = {uuid: book.snapshot.layout for uuid, book in self._books.items()}
        empty = self._packer.mode.empty
        self._books = {uuid: GpuBook(gpu, before.get(uuid, empty)) for uuid, gpu in gpus.items()}
        self.is_known, self._allocatable, self._trouble = True, allocatable, trouble
        self._outdate_all()
        return self._listings.change(self.name, before, gpus)

    def forget(self) -> Sequence[tuple[str, str]]:
        """Take note that the node is gone; its pods may still be seen for a while.

        Return what `offer` does.
        """
        before = self._books
        self.is_known, self._books, self._allocatable, self._trouble = False, {}, (0, 0), ""
        self._resident = {}
        self.stand({})
        return self._listings.change(self.name, before, ())

    def load(self, resident: Mapping[str, Mapping[str, int]]) -> None:
        """Take note of the models that the stores of its GPUs keep: bytes by UUID and name."""
        before, self._resident = self._resident, resident
        uuids = before.keys() | resident.keys()
        self._stale.update(uuid for uuid in uuids if before.get(uuid) != resident.get(uuid))

    def row(self) -> NodeRow:
        """Return what the index is to know of it."""
        books = self.books()
        models = tuple([book.models for book in books])
        return NodeRow(
            [book.snapshot.gpu for book in books],
            [book.state for book in books if book.state],
            self.units_free(),
            self.used_area,
            offers=bool(books) and self._allocatable != (0, 0),
            models=models if any(models) else (),
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing left to know."""
        return not (self.is_known or self.placed or self.unplaced or self.reserved)

    def outdate(self, gpu_uuid: str) -> None:
        """Take note that something about a GPU has changed which others know."""
        self._stale.add(gpu_uuid)

    def books(self) -> tuple[GpuBook, ...]:
        """Return its GPUs, each with the layout of what is on it now."""
        if self._stale:
            for uuid in self._stale & self._books.keys():
                self._settle(self._books[uuid])
            self._stale.clear()
        return tuple(self._books.values())

    def book(self, gpu_uuid: str) -> GpuBook | None:
        """Return one of its GPUs."""
        self.books()
        return self._books.get(gpu_uuid)

    @property
    def used_area(self) -> int:
        """Return the area that is held on all of its GPUs."""
        return sum(book.used_area for book in self.books())

    def units_free(self) -> tuple[int, int]:
        """Return how many units of vgpu-sm and vgpu-quota are left; below 0 where too few are."""
        if self._units_free is None:
            self._units_free = self._counted_units()
        return self._units_free

    def grounds(self) -> Iterator[Ground]:
        """Yield its GPUs that are healthy, settled, and held for nobody."""
        free = self.units_free()
        for book in self.books():
            if book.is_open and book.gpu.is_healthy:
                pods = {uid: self.placed[uid] for uid in book.holders if uid in self.placed}
                yield Ground(self.name, book.snapshot, pods, free)

    def problems(self) -> Iterator[Problem]:
        """Yield what is inconsistent here."""
        if self._trouble:
            yield Problem(ProblemKind.INVENTORY, self.name, self._trouble)
        for pod in self.unplaced.values():
            yield Problem(ProblemKind.UNPLACED, self.name, pod.text, pods=(pod.uid,))
        for book in self.books():
            for kind, text in book.problems():
                yield Problem(kind, self.name, text, book.gpu.uuid, book.holders)
            if book.is_doubled:
                yield self._doubled(book)
        if self.is_known and not self._trouble:
            yield from self._vanished()
        for uuid, (model, pods) in self._exchanged.items():
            left = tuple(uid for uid in self.placed if uid in pods)
            if left and uuid in self._books:
                now = self._books[uuid].gpu.model
                text = f"was a {model} when its pods came and is a {now} now: delete the pods"
                yield Problem(ProblemKind.MODEL, self.name, text, uuid, left)

    def _note_exchanged(self, gpus: Mapping[str, NodeGpu]) -> None:
        """Take note of GPUs that have another model, while pods that came before are on them."""
        for uuid, book in self._books.items():
            if uuid in gpus and gpus[uuid].model != book.gpu.model and book.holders:
                first = self._exchanged.get(uuid, (book.gpu.model, frozenset()))[0]
                self._exchanged[uuid] = (first, frozenset(book.holders))

    def _doubled(self, book: GpuBook) -> Problem:
        others = ", ".join(sorted(self._listings.others(book.gpu.uuid, self.name))[:_NAMED])
        text = (
            f"is listed by {others} too and takes no new pod: delete the Node object that is no "
            "more, or restart gshare's node agents there"
        )
        return Problem(ProblemKind.DOUBLED, self.name, text, book.gpu.uuid, book.holders)

    def _vanished(self) -> Iterator[Problem]:
        for pod in self.placed.values():
            uuid = pod.placement.gpu_uuid
            if uuid not in self._books:
                text = f"is placed on {uuid}, which the node no longer has: delete the pod"
                yield Problem(ProblemKind.VANISHED, self.name, text, uuid, (pod.uid,))

    def _settle(self, book: GpuBook) -> None:
        uuid = book.gpu.uuid
        here: list[PlacedPod | Reservation] = [*self.placed.values(), *self._arrived()]
        holders = {pod.uid: pod.placement for pod in here if pod.placement.gpu_uuid == uuid}
        is_held = any(
            each.placement.gpu_uuid == uuid for each in self.reserved.values() if self._waits(each)
        )
        is_doubled = self._listings.is_doubled(uuid)
        book.resident = self._resident.get(uuid, NOTHING)
        book.settle(holders, self._packer, self._states, is_held=is_held, is_doubled=is_doubled)

    def _outdate(self, placement: PodPlacement) -> None:
        """Take note that what holds the placement's GPU has changed."""
        self._stale.add(placement.gpu_uuid)
        self._units_free = None

    def _outdate_all(self) -> None:
        self._stale.update(self._books)
        self._units_free = None

    def _outdate_awaiting(self, victim: str) -> None:
        """Take note that a pod has come or gone for whose leaving a place may wait."""
        for each in self.reserved.values():
            if victim in each.victims:
                self._outdate(each.placement)

    def _counted_units(self) -> tuple[int, int]:
        pods: list[PlacedPod | UnplacedPod] = [*self.placed.values(), *self.unplaced.values()]
        held = [reservation.placement for reservation in self._arrived()]
        sm_units = sum(pod.sm_units for pod in pods) + sum(each.sm_percent for each in held)
        quota = sum(pod.quota_units for pod in pods) + sum(each.quota_percent for each in held)
        return (self._allocatable[0] - sm_units, self._allocatable[1] - quota)

    def _arrived(self) -> list[Reservation]:
        """Return the reservations that take room: those whose victims have left."""
        return [each for each in self.reserved.values() if not self._waits(each)]

    def _waits(self, reservation: Reservation) -> bool:
        victims = reservation.victims
        return bool(victims) and any(uid in self.placed for uid in victims)
