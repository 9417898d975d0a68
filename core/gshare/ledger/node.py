"""One node as the ledger sees it: its GPUs, its pods, and its plain sums of both resources."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gshare.annotations import NodeGpu, Standing
from gshare.layout import Layout, Verdicts
from gshare.placement import RELAYOUT_CANDIDATES, Request

from .gpu import GpuBook
from .state import Opening, Shape, States
from .values import (
    NEAREST_FIRST,
    Ground,
    PlacedPod,
    Problem,
    ProblemKind,
    RefusalKind,
    Reservation,
    UnplacedPod,
)


@dataclass(frozen=True, slots=True)
class Option:
    """A GPU of a node that takes a shape, if a layout is found for it.

    `worth` is its area in use, or that of the one to prefer on the same node if that is less.
    """

    book: GpuBook
    worth: int
    is_relaid: bool = False


class NodeBook:
    """What is on one node. Pods may be there before the node itself is seen."""

    def __init__(self, name: str, verdicts: Verdicts, states: States) -> None:
        self.name = name
        self.is_known = False
        self.placed: dict[str, PlacedPod] = {}
        """Each as it counts now."""
        self.unplaced: dict[str, UnplacedPod] = {}
        self.reserved: dict[str, Reservation] = {}
        self._verdicts, self._states = verdicts, states
        self._books: dict[str, GpuBook] = {}
        self._allocatable = (0, 0)
        self._trouble = ""
        self._is_dirty = True
        self._seen: dict[str, PlacedPod] = {}
        self._standings: Mapping[str, Standing] = {}
        self._options: dict[Shape, tuple[Option, ...] | RefusalKind] = {}

    def put(self, pod: PlacedPod | UnplacedPod) -> None:
        """Take note of a pod on it, in the place of what was seen of that pod before."""
        self.drop(pod.uid)
        if isinstance(pod, PlacedPod):
            self._seen[pod.uid] = pod
            self.placed[pod.uid] = pod.counted(self._standings.get(pod.uid))
        else:
            self.unplaced[pod.uid] = pod

    def drop(self, uid: str) -> None:
        """Take note that a pod is gone."""
        self._seen.pop(uid, None)
        self.placed.pop(uid, None)
        self.unplaced.pop(uid, None)
        self.touch()

    def seen(self, uid: str) -> PlacedPod | UnplacedPod | None:
        """Return a pod as it was put."""
        return self._seen.get(uid) or self.unplaced.get(uid)

    def stand(self, standings: Mapping[str, Standing]) -> None:
        """Take note of what the node says of its pods' terms, by UID."""
        if standings == self._standings:
            return
        self._standings = standings
        self.placed = {uid: pod.counted(standings.get(uid)) for uid, pod in self._seen.items()}
        self.touch()

    def offer(
        self, inventory: Sequence[NodeGpu], allocatable: tuple[int, int], trouble: str
    ) -> None:
        """Take over what the node offers now; `trouble` says why its inventory is unreadable."""
        gpus = {gpu.uuid: gpu for gpu in inventory}
        unchanged = gpus == {uuid: book.gpu for uuid, book in self._books.items()}
        known = (self.is_known, self._allocatable, self._trouble)
        if unchanged and known == (True, allocatable, trouble):
            return
        before = {uuid: book.snapshot.layout for uuid, book in self._books.items()}
        self._books = {uuid: GpuBook(gpu, before.get(uuid, Layout())) for uuid, gpu in gpus.items()}
        self.is_known, self._allocatable, self._trouble = True, allocatable, trouble
        self.touch()

    def forget(self) -> None:
        """Take note that the node is gone; its pods may still be seen for a while."""
        self.is_known, self._books, self._allocatable, self._trouble = False, {}, (0, 0), ""
        self.stand({})
        self.touch()

    def touch(self) -> None:
        """Take note that a pod of this node has come, changed or gone."""
        self._is_dirty = True
        self._options.clear()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing left to know."""
        return not (self.is_known or self.placed or self.unplaced or self.reserved)

    def books(self) -> tuple[GpuBook, ...]:
        """Return its GPUs, each with the layout of what is on it now."""
        if self._is_dirty:
            for book in self._books.values():
                self._settle(book)
            self._is_dirty = False
        return tuple(self._books.values())

    def book(self, gpu_uuid: str) -> GpuBook | None:
        """Return one of its GPUs."""
        self.books()
        return self._books.get(gpu_uuid)

    @property
    def used_area(self) -> int:
        """Return the area that is held on all of its GPUs."""
        return sum(book.used_area for book in self.books())

    def options(self, request: Request) -> tuple[Option, ...] | RefusalKind:
        """Return the GPUs that may take `request`, the one to prefer first, or why none does.

        By the rule of `placement.choose`: where best short-side fit leaves least, ties to the
        most used; before it the fuller ones that only a new layout makes room on.
        """
        shape = (request.size, request.memory_bytes)
        options = self._options.get(shape)
        if options is None:
            options = self._options[shape] = self._worked_out(request)
        return options

    def has_units_for(self, request: Request) -> bool:
        """Tell whether both plain sums, with `request`, stay within what the kubelet counts."""
        sm_free, quota_free = self.units_free()
        return request.sm_percent <= sm_free and request.quota_percent <= quota_free

    def units_free(self) -> tuple[int, int]:
        """Return how many units of vgpu-sm and vgpu-quota are left; below 0 where too few are."""
        pods: list[PlacedPod | UnplacedPod] = [*self.placed.values(), *self.unplaced.values()]
        held = [reservation.placement for reservation in self._arrived()]
        sm_units = sum(pod.sm_units for pod in pods) + sum(each.sm_percent for each in held)
        quota = sum(pod.quota_units for pod in pods) + sum(each.quota_percent for each in held)
        return (self._allocatable[0] - sm_units, self._allocatable[1] - quota)

    def grounds(self) -> Iterator[Ground]:
        """Yield its GPUs that are healthy, settled, and held for nobody."""
        free = self.units_free()
        for book in self.books():
            if book.is_settled and not book.is_held and book.gpu.is_healthy:
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
        if self.is_known and not self._trouble:
            yield from self._vanished()

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
        book.settle(holders, self._verdicts, self._states, is_held=is_held)

    def _arrived(self) -> list[Reservation]:
        """Return the reservations that take room: those whose victims have left."""
        return [each for each in self.reserved.values() if not self._waits(each)]

    def _waits(self, reservation: Reservation) -> bool:
        return any(uid in self.placed for uid in reservation.victims)

    def _worked_out(self, request: Request) -> tuple[Option, ...] | RefusalKind:
        openings = [(book, book.state.opening(request)) for book in self.books() if book.state]
        if not openings or self._allocatable == (0, 0):
            return RefusalKind.NO_GPU
        if not self.has_units_for(request):
            return RefusalKind.UNITS
        options = _in_order(openings)
        if options:
            return options
        obstacles = {opening.obstacle for _, opening in openings}
        return next(kind for kind in NEAREST_FIRST if kind in obstacles)


def _in_order(openings: Sequence[tuple[GpuBook, Opening]]) -> tuple[Option, ...]:
    """Return the GPUs with an opening, the one to prefer first."""
    direct = [
        (opening.short_side, -book.used_area, index)
        for index, (book, opening) in enumerate(openings)
        if opening.short_side is not None
    ]
    fitting = [openings[index][0] for _, _, index in sorted(direct)]
    fuller_than = fitting[0].used_area if fitting else 0
    stuck = [
        book for book, opening in openings if opening.is_stuck and book.used_area > fuller_than
    ]
    stuck.sort(key=lambda book: -book.used_area)
    options = [Option(book, book.used_area, is_relaid=True) for book in stuck[:RELAYOUT_CANDIDATES]]
    return (*options, *(Option(book, min(book.used_area, fuller_than)) for book in fitting))
