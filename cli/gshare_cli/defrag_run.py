"""`gshare defrag --apply`: frees GPUs by evicting their pods, one at a time, as far as it goes.

Nothing holds the places that a plan found, so it is made anew, for the one GPU in question, from
what the cluster is before each eviction. An eviction is over when the pod is gone and its
controller's next pod stands ready on another GPU that was in use. Where anything else happens, no
more of that GPU's pods are evicted; where a successor finds no place or opens an unused GPU, no
more at all.

Stopped at any moment, it leaves a cluster like any other: run again, it goes on from there.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from gshare.defrag import Clearing, Move
from gshare.errors import GshareError
from gshare.ledger import PlacedPod
from gshare.runtime.kube import ApiError

from .defrag_picture import Picture

_REFUSED: Final = 429
_GONE: Final = frozenset({404, 409})
LOOK_S: Final = 1.0
MAX_MOVES: Final = 256
"""Of one GPU, which is more than MPS admits to any."""


class Evicts(Protocol):
    """Evicts pods: `gshare_extender.writer.Writer`."""

    def evict(self, pod: PlacedPod, *, is_trial: bool) -> None:
        """Evict a pod; ApiError with status 429 where a budget refuses, 404 or 409 if gone."""


class Ending(StrEnum):
    """What became of a GPU."""

    FREED = "freed"
    REFUSED = "refused"
    CHANGED = "changed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Moved:
    """A pod that was evicted, and where its successor stands."""

    pod: str
    successor: str
    node: str
    gpu_uuid: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one GPU of the plan; `text` says why where it is not free."""

    node: str
    gpu_uuid: str
    ending: Ending
    moved: tuple[Moved, ...]
    text: str = ""


class _StoppedError(Exception):
    """No more pods of this GPU are to be evicted."""

    def __init__(self, ending: Ending, text: str) -> None:
        super().__init__(text)
        self.ending = ending
        self.text = text


@dataclass(frozen=True, slots=True)
class Mover:
    """What evicts, looks and tells. `patience_s` is for one pod, from eviction to ready."""

    look: Callable[[], Picture]
    writer: Evicts
    tell: Callable[[str], None]
    patience_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def free_all(self, clearings: Iterable[Clearing]) -> Iterator[Outcome]:
        """Free GPU after GPU; end early where a pod found no good place."""
        for clearing in clearings:
            outcome = self._free(clearing)
            yield outcome
            if outcome.ending is Ending.LOST:
                return

    def _free(self, clearing: Clearing) -> Outcome:
        key = (clearing.node, clearing.gpu_uuid)
        planned = {move.pod.uid for move in clearing.moves}
        moved: list[Moved] = []
        try:
            for _ in range(MAX_MOVES):
                move, before = self._next(key, planned)
                if move is None:
                    return Outcome(*key, Ending.FREED, tuple(moved))
                done = self._move(move, key, before)
                if done:
                    moved.append(done)
        except _StoppedError as stopped:
            return Outcome(*key, stopped.ending, tuple(moved), stopped.text)
        except GshareError as error:
            return Outcome(*key, Ending.LOST, tuple(moved), str(error))
        raise AssertionError("a GPU holds more pods than MPS admits")

    def _next(self, key: tuple[str, str], planned: set[str]) -> tuple[Move | None, Picture]:
        """Return what to evict next by the cluster as it is; None where the GPU is free."""
        seen = self.look()
        here = seen.on(*key)
        if not here:
            return None, seen
        for pod in here.values():
            if pod.uid not in planned:
                text = f"{pod.namespace}/{pod.name} has come to it meanwhile"
                raise _StoppedError(Ending.CHANGED, text)
        answer = seen.clear(*key)
        if isinstance(answer, str):
            raise _StoppedError(Ending.CHANGED, answer)
        return answer.moves[0], seen

    def _move(self, move: Move, key: tuple[str, str], before: Picture) -> Moved | None:
        """Evict one pod and see its successor ready; None where the pod was gone already."""
        self.tell(f"evicts {_path(move.pod)} from {_place(*key)}")
        if not self._evict(move):
            return None
        successor = self._successor(move, before)
        place = (successor.node, successor.placement.gpu_uuid)
        self.tell(f"{_path(successor)} is ready on {_place(*place)}")
        return Moved(_path(move.pod), _path(successor), *place)

    def _evict(self, move: Move) -> bool:
        try:
            self.writer.evict(move.pod, is_trial=False)
        except ApiError as error:
            if error.status in _GONE:
                return False
            if error.status == _REFUSED:
                text = f"{_path(move.pod)}: the API server refuses its eviction: {error}"
                raise _StoppedError(Ending.REFUSED, text) from error
            raise
        return True

    def _successor(self, move: Move, before: Picture) -> PlacedPod:
        """Wait until the pod is gone and its successor ready, and return that."""
        owner = before.pods[move.pod.uid].owner[0]
        end = self.clock() + self.patience_s
        while True:
            seen = self.look()
            found = seen.successors(owner, frozenset(before.pods))
            for pod in found:
                _check(pod, move, before)
            ready = [pod for pod in found if seen.pods[pod.uid].is_ready]
            if ready and move.pod.uid not in seen.pods:
                return min(ready, key=lambda pod: pod.uid)
            if self.clock() >= end:
                raise _StoppedError(Ending.LOST, self._too_late(move, found))
            self.sleep(LOOK_S)

    def _too_late(self, move: Move, found: list[PlacedPod]) -> str:
        late = f"within {self.patience_s:g} s"
        if found:
            where = _place(found[0].node, found[0].placement.gpu_uuid)
            return f"{_path(found[0])}, for {_path(move.pod)}, is on {where} but not ready {late}"
        return (
            f"{_path(move.pod)} was evicted, and {move.owner} has no other pod placed {late}: "
            "see `gshare explain` of its pods"
        )


def _check(successor: PlacedPod, move: Move, before: Picture) -> None:
    """Refuse a place that makes the eviction vain."""
    place = (successor.node, successor.placement.gpu_uuid)
    if place == (move.pod.node, move.pod.placement.gpu_uuid):
        text = f"{_path(successor)} was placed there again for {_path(move.pod)}"
        raise _StoppedError(Ending.CHANGED, text)
    if place not in before.in_use():
        text = f"{_path(successor)} opened {_place(*place)}, which was not in use: nothing is won"
        raise _StoppedError(Ending.LOST, text)


def _path(pod: PlacedPod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _place(node: str, gpu_uuid: str) -> str:
    return f"{node}/{gpu_uuid}"
