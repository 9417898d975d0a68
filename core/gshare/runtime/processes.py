"""Processes that a run started: told apart from strangers, and ended with all their children.

A process id alone says little, since ids are used again. A recorded process is known by its id and
the time it started; its children by the run id in their environment, and by its session, which
they keep when they clear their environment.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from gshare import names

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.01
_ROUNDS: Final = 50
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id with the moment it started, which together never come again."""

    pid: int
    created: float
    """Seconds since the epoch, as the kernel tells it."""

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """Return the identity of the process that has `pid` now; None if there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        try:
            found = psutil.Process(self.pid)
            return found.create_time() == self.created and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def die_with_parent(death_signal: int = signal.SIGKILL) -> Callable[[], None]:
    """Return a function for the child, between fork and exec: it gets `death_signal` at our end.

    The kernel ties this to the thread that forks, so processes are started from the main thread.
    """
    parent = os.getpid()

    def between_fork_and_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return between_fork_and_exec


def carrying(variable: str, value: str) -> Iterator[int]:
    """Yield the ids of all processes of ours whose environment has `variable` set to `value`."""
    mark = f"{variable}={value}".encode()
    for pid in psutil.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        if mark in environment.split(b"\0"):
            yield pid


def end_run(run_id: str, recorded: Iterable[ProcessIdentity] = ()) -> int:
    """Kill every process of a run and return how many there were; our own process is spared.

    Repeats until a look finds none, because a process may fork while it is being killed.
    """
    leaders = tuple(recorded)
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        known = (leader.pid for leader in leaders if leader.is_alive())
        marked = carrying(names.ENV_RUN_ID, run_id)
        found = {pid for pid in (*known, *marked, *_sessions_of(leaders)) if _runs(pid)}
        found.discard(os.getpid())
        if not found:
            break
        for pid in found:
            send(pid, signal.SIGKILL)
        ended |= found
        time.sleep(_POLL_S)
    return len(ended)


def stop(pids: Iterable[int], grace_s: float) -> None:
    """Ask processes to end with SIGTERM; kill those that still run after `grace_s`."""
    waiting = {pid for pid in pids if send(pid, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while waiting and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        waiting = {pid for pid in waiting if _runs(pid)}
    for pid in waiting:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> bool:
    """Send a signal to one process and tell whether it was there to get it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _sessions_of(leaders: tuple[ProcessIdentity, ...]) -> Iterator[int]:
    """Yield every process in a session that one of `leaders` opened."""
    started = {leader.pid: leader.created for leader in leaders}
    if not started:
        return
    for pid in psutil.pids():
        try:
            session = os.getsid(pid)
            if session not in started:
                continue
            found = ProcessIdentity.of(pid)
        except OSError:
            continue
        if found is None or found.created < started[session]:
            continue
        if pid != session or found.created == started[session]:
            yield pid


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
