"""Child processes that ought to run, one for each key: started, watched, started again, ended.

The children die with us, however we end, so whoever comes next finds none of ours.
"""

import logging
import subprocess
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from gshare.errors import GshareError

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.05
_STEADY_S: Final = 10.0
_POLL_S: Final = 0.01

Spawn = Callable[[str], subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait before the next start of a child. Pure."""

    failures: int = 0
    """Starts in a row that did not last."""

    def after(self, lasted_s: float) -> "Pause":
        """Return what holds after a child that ran for `lasted_s` has ended."""
        return Pause(0 if lasted_s >= _STEADY_S else self.failures + 1)

    def seconds(self, longest_s: float) -> float:
        """Return how long to wait: twice as long each time, up to `longest_s`."""
        return min(longest_s, _FIRST_PAUSE_S * 2.0 ** min(self.failures, 16) / 2)


@dataclass(slots=True)
class _Child:
    """A key's child and its history; `process` is None while it waits for its next start."""

    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_after_s: float = 0.0
    pause: Pause = field(default_factory=Pause)


class Children:
    """The children of one kind. Call all methods from the main thread, which they die with."""

    def __init__(self, kind: str, spawn: Spawn, longest_pause_s: float, grace_s: float) -> None:
        """Name the kind in logs as `kind`; `spawn` starts the child of a key.

        A child gets `grace_s` from SIGTERM to SIGKILL.
        """
        self._kind = kind
        self._spawn = spawn
        self._longest_pause_s = longest_pause_s
        self._grace_s = grace_s
        self._children: dict[str, _Child] = {}

    def running(self) -> dict[str, int]:
        """Return the process id of each child that runs, by key."""
        return {
            key: child.process.pid
            for key, child in self._children.items()
            if child.process is not None and child.process.poll() is None
        }

    def settle(self, wanted: Collection[str]) -> None:
        """End the children that are not wanted; start those that are and do not run."""
        for key in self._children.keys() - set(wanted):
            self.end(key)
            del self._children[key]
        for key in wanted:
            child = self._children.setdefault(key, _Child())
            self._reap(key, child)
            if child.process is None and time.monotonic() >= child.start_after_s:
                self._start(key, child)

    def end(self, *keys: str) -> None:
        """End children, by force where they do not end in time; `settle` may start them again."""
        ending = [self._children[key].process for key in keys if key in self._children]
        alive = [process for process in ending if process is not None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + self._grace_s
        for process in alive:
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            process.kill()
            process.wait()

    def kill(self, silent: Iterable[tuple[str, int]]) -> None:
        """Kill children that do not answer, by key and process id."""
        running = self.running()
        for key, pid in silent:
            process = self._children[key].process if running.get(key) == pid else None
            if process is not None:
                _log.error("event=%s_silent key=%s pid=%d", self._kind, key, pid)
                process.kill()

    def end_all(self) -> None:
        """End every child."""
        self.end(*self._children)

    def _start(self, key: str, child: _Child) -> None:
        now_s = time.monotonic()
        try:
            child.process = self._spawn(key)
        except (OSError, GshareError) as error:
            _log.error("event=%s_not_started key=%s error=%r", self._kind, key, str(error))
            self._fail(child, 0.0, now_s)
            return
        child.started_s = now_s
        _log.info("event=%s_started key=%s pid=%d", self._kind, key, child.process.pid)

    def _reap(self, key: str, child: _Child) -> None:
        if child.process is None or child.process.poll() is None:
            return
        now_s = time.monotonic()
        status = child.process.returncode
        _log.warning("event=%s_ended key=%s status=%d", self._kind, key, status)
        child.process = None
        self._fail(child, now_s - child.started_s, now_s)

    def _fail(self, child: _Child, lasted_s: float, now_s: float) -> None:
        child.pause = child.pause.after(lasted_s)
        child.start_after_s = now_s + child.pause.seconds(self._longest_pause_s)
