"""Counts requests as they arrive, answered or not: the load that is offered to the server.

A count of answers stands still at what a saturated server can do, however many requests wait, so
whoever scales by it never adds a replica. Arrivals are those that a thread has begun with, and
those that wait for a thread.
"""

import threading
from collections.abc import Callable


def _none() -> int:
    return 0


class Arrivals:
    """A count that only grows; all may call it from any thread.

    What waits may turn out to be a probe or a closed connection. It is counted for now, and the
    count then stands still until as many requests have begun.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = 0
        self._most = 0
        self._waiting: Callable[[], int] = _none

    def watch(self, waiting: Callable[[], int]) -> None:
        """Count from now on what `waiting` says is accepted and not begun."""
        self._waiting = waiting

    def begin(self) -> None:
        """Count one request with which a thread begins."""
        with self._lock:
            self._begun += 1

    @property
    def total(self) -> int:
        """Requests that have arrived."""
        with self._lock:
            self._most = max(self._most, self._begun + self._waiting())
            return self._most
