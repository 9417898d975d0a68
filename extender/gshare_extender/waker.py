"""Touches the nodes on which room became free, so that schedulers try again what they refused.

A scheduler that asks before our watch has seen a pod go is told "full", and no event follows for
it: the touch is that event. Touches of one node are at least an interval apart, and those that are
wanted meanwhile become one.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from gshare.runtime.kube import ApiError

_GONE: Final = 404

_log = logging.getLogger(__name__)


class Waker:
    """Touches nodes on a thread of its own; `touch` does one."""

    def __init__(self, touch: Callable[[str], None], interval_s: float) -> None:
        self._touch = touch
        self._interval_s = interval_s
        self._wanted: dict[str, float] = {}  # the node, and when it may be touched
        self._touched_at: dict[str, float] = {}
        self._changed = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
        self.count = 0

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Touch nothing more."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(self._interval_s)

    def wake(self, node: str) -> None:
        """Have `node` touched soon."""
        with self._changed:
            earliest = self._touched_at.get(node, 0.0) + self._interval_s
            self._wanted.setdefault(node, max(time.monotonic(), earliest))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            node = self._next()
            if node is None:
                return
            try:
                self._touch(node)
                self.count += 1
            except ApiError as error:
                _log.warning("event=touch_failed node=%s error=%r", node, str(error))
                if error.status != _GONE:
                    self.wake(node)
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=touch_failed node=%s", node)

    def _next(self) -> str | None:
        """Wait for the next node that is due; None at the end."""
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                due = min(self._wanted.items(), key=lambda item: item[1], default=None)
                if due is not None and due[1] <= now:
                    del self._wanted[due[0]]
                    self._forget_old(now)
                    self._touched_at[due[0]] = now
                    return due[0]
                self._changed.wait(None if due is None else due[1] - now)
        return None

    def _forget_old(self, now: float) -> None:
        """Keep no nodes that were touched long ago."""
        self._touched_at = {
            node: at for node, at in self._touched_at.items() if now - at < self._interval_s
        }
