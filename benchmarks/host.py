"""How busy others keep the host while something is measured, and measuring again where they do."""

import ctypes
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

import psutil

QUIET_PERCENT = 10.0
"""A run in which others use more of the machine does not count, and is repeated."""

_SLEEPS, _SLEEP_NS = 300, 1_000_000
_PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 29, 30  # prctl(2)
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_Found_co = TypeVar("_Found_co", covariant=True)


@dataclass(frozen=True, slots=True)
class HostTimes:
    """CPU time used until one moment, in seconds: by everybody, and by us and our children."""

    clock_s: float
    used_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Self:
        """Read them. Ours are the processes that we have started, those that ended included."""
        words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)
        user, nice, system, _idle, _wait, interrupt, soft, steal = map(int, words[1:9])
        used = (user + nice + system + interrupt + soft + steal) * _TICK_S
        me = psutil.Process()
        times = me.cpu_times()
        ended = float(times.children_user + times.children_system)
        ours = sum(_cpu_s(each) for each in [me, *me.children(recursive=True)])
        return cls(time.monotonic(), used, ended + ours)


@dataclass(frozen=True, slots=True)
class Measured(Generic[_Found_co]):
    """What was found in the attempt that others disturbed least, and how much they did."""

    found: _Found_co
    host_busy_percent: float
    attempts: int

    @property
    def host_was_busy(self) -> bool:
        """Tell whether others took too much of the host in every attempt."""
        return self.host_busy_percent > QUIET_PERCENT


def in_quiet(
    measure: Callable[[], _Found_co], most_attempts: int, say: Callable[[str], None]
) -> Measured[_Found_co]:
    """Measure, and again up to `most_attempts` times while others use the host."""
    best: Measured[_Found_co] | None = None
    for attempt in range(1, most_attempts + 1):
        before = HostTimes.now()
        found = measure()
        busy_percent = busy_percent_by_others(before, HostTimes.now())
        if best is None or busy_percent < best.host_busy_percent:
            best = Measured(found, busy_percent, attempt)
        if busy_percent <= QUIET_PERCENT:
            break
        say(f"attempt {attempt}: others used {busy_percent:.0f} % of the host")
    assert best is not None, "most_attempts is at least 1"  # noqa: S101
    return Measured(best.found, best.host_busy_percent, attempt)


def busy_percent_by_others(before: HostTimes, after: HostTimes) -> float:
    """Return the share of all cores that others used between two moments, never below 0."""
    cores = os.cpu_count() or 1
    others = (after.used_s - before.used_s) - (after.ours_s - before.ours_s)
    return max(0.0, 100 * others / (cores * (after.clock_s - before.clock_s)))


def wake_up_us() -> float:
    """Return how late a sleeper usually wakes on this host: the median, in microseconds.

    Each hand-over of a token has two wake-ups, and each wait of a client for its first launch too.
    """
    late_ns = []
    with _fine_timers():
        for _ in range(_SLEEPS):
            end_ns = time.monotonic_ns() + _SLEEP_NS
            time.sleep(_SLEEP_NS / 1e9)
            late_ns.append(time.monotonic_ns() - end_ns)
    return statistics.median(late_ns) / 1e3


@contextmanager
def _fine_timers() -> Iterator[None]:
    """Have this thread's sleeps end when they are told to, not up to 50 us later."""
    libc = ctypes.CDLL(None)
    before = libc.prctl(_PR_GET_TIMERSLACK, 0, 0, 0, 0)
    libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_TIMERSLACK, before, 0, 0, 0)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process that runs."""
    return _cpu_s(psutil.Process(pid))


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
