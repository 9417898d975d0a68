"""Watches how many replicas a function's Deployments have and should have, and when pods start."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from tests.cluster.harness import ClusterError

from gshare import names

from .scene import Scene, is_ready
from .workloads import Object

_LOOK_S: Final = 0.5
_SETTLING_S: Final = 1.0
"""From a pod's readiness until every node sends requests to it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The replicas of each Deployment at one moment, in seconds of the epoch."""

    at_s: float
    wanted: Mapping[str, int]
    ready: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many are wanted in all."""
        return sum(self.wanted.values())


@dataclass(slots=True)
class _Start:
    seen_s: float
    ready_s: float | None = None
    gone_s: float | None = None


@dataclass(slots=True)
class Course:
    """What was seen of a function from entry to exit, by a thread that looks twice a second."""

    scene: Scene
    function: str
    sights: list[Sight] = field(default_factory=list)
    _starts: dict[str, _Start] = field(default_factory=dict)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._watch, name="course")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> Sight:
        """Look once, and keep what was seen."""
        selector = f"?labelSelector={quote(f'{names.LABEL_FUNCTION}={self.function}')}"
        deployments = self.scene.api.items(self.scene.path("Deployment") + selector)
        pods = self.scene.api.items(self.scene.path("Pod") + selector)
        now = time.time()
        wanted = {_name(each): int(each["spec"].get("replicas", 1)) for each in deployments}
        ready = {_name(each): int(each["status"].get("readyReplicas", 0)) for each in deployments}
        sight = Sight(now, wanted, ready)
        self.sights.append(sight)
        self._note_starts(pods, now)
        return sight

    def between(self, since_s: float, until_s: float) -> list[Sight]:
        """Return what was seen in a span of time."""
        found = [sight for sight in self.sights if since_s <= sight.at_s <= until_s]
        assert found, "nobody looked in this span"
        return found

    def starts(self) -> list[tuple[float, float]]:
        """Return the spans in which a pod was there and served nobody yet."""
        return [
            (start.seen_s - _LOOK_S, (start.ready_s or start.gone_s or time.time()) + _SETTLING_S)
            for start in self._starts.values()
            if start.ready_s != start.seen_s
        ]

    def changes(self) -> Iterator[Sight]:
        """Yield the first sight, and each that differs from the one before."""
        last: tuple[Mapping[str, int], Mapping[str, int]] | None = None
        for sight in self.sights:
            if (sight.wanted, sight.ready) != last:
                last = (sight.wanted, sight.ready)
                yield sight

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            try:
                self.look()
            except ClusterError:
                continue  # the API server is away: it is asked again

    def _note_starts(self, pods: list[Object], now: float) -> None:
        there = {str(pod["metadata"]["uid"]): pod for pod in pods}
        for uid, pod in there.items():
            start = self._starts.setdefault(uid, _Start(now))
            if start.ready_s is None and is_ready(pod):
                start.ready_s = now
        for uid, start in self._starts.items():
            if uid not in there and start.gone_s is None:
                start.gone_s = now


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])
