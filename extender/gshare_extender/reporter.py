"""Looks at the ledger now and then: expires reservations, and tells of what is inconsistent.

An inconsistency is told once, by an event on the node or the pods, when it was there at two looks
in a row: a pod that is replaced may overlap its successor for a moment.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from gshare.ledger import Ledger, Problem, ProblemKind
from gshare.runtime.kube import EventWriter, Regarding

from .cluster import Cluster
from .metrics import Counts

_LOOK_S: Final = 5.0
_ON_PODS: Final = frozenset({ProblemKind.UNPLACED, ProblemKind.VANISHED})
_REASONS: Final = {
    ProblemKind.CONFLICT: "GpuPlacementsConflict",
    ProblemKind.MEMORY: "GpuMemoryOvercommitted",
    ProblemKind.CLIENTS: "GpuClientsOvercommitted",
    ProblemKind.VANISHED: "GpuVanished",
    ProblemKind.UNPLACED: "GpuPlacementMissing",
    ProblemKind.INVENTORY: "GpuInventoryUnreadable",
    ProblemKind.MODEL: "GpuModelChanged",
    ProblemKind.DOUBLED: "GpuListedTwice",
}
ACTION: Final = "Checking"

_log = logging.getLogger(__name__)


class Reporter:
    """Works on a thread of its own; `also` is called at each look too."""

    def __init__(
        self,
        cluster: Cluster,
        events: EventWriter,
        counts: Counts,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        self._also = also
        self._cluster = cluster
        self._events = events
        self._counts = counts
        self._seen: set[Problem] = set()
        self._told: set[Problem] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self) -> None:
        looked_at = 0.0
        while not self._stopping.wait(self._cluster.settings.tick_s):
            try:
                self._counts.expired.inc(self._cluster.tick())
                if time.monotonic() - looked_at >= _LOOK_S:
                    looked_at = time.monotonic()
                    self.look()
                    self._also()
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=look_failed")

    def look(self) -> None:
        """Tell of what is inconsistent at this look and was at the last."""
        with self._cluster.locked() as ledger:
            found = set(ledger.problems())
            new = (found & self._seen) - self._told
            about = {problem: _about(ledger, problem) for problem in new}
        for problem, objects in about.items():
            _log.warning(
                "event=inconsistent kind=%s node=%s gpu=%s text=%r",
                problem.kind.value,
                problem.node,
                problem.gpu_uuid,
                problem.text,
            )
            note = f"{problem.gpu_uuid}: {problem.text}" if problem.gpu_uuid else problem.text
            for regarding in objects:
                self._events.post(regarding, "Warning", _REASONS[problem.kind], ACTION, note)
        self._told = (self._told & found) | new
        self._seen = found


def _about(ledger: Ledger, problem: Problem) -> list[Regarding]:
    """Return what the event is about: the pods it is to be cured by, else the node."""
    if problem.kind not in _ON_PODS:
        return [Regarding.node(problem.node)]
    pods = [pod for pod in map(ledger.pod, problem.pods) if pod]
    return [Regarding("Pod", pod.name, pod.namespace, pod.uid) for pod in pods]
