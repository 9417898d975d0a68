"""How busy others keep the host while something is measured."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

QUIET_PERCENT = 10.0
"""A run in which others use more of the machine does not count, and is repeated."""

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class HostTimes:
    """CPU time used until one moment, in seconds: by everybody, and by us and our children."""

    clock_s: float
    used_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Self:
        """Read them. Children that ended meanwhile count as others, so let none end between."""
        words = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)
        user, nice, system, _idle, _wait, interrupt, soft, steal = map(int, words[1:9])
        used = (user + nice + system + interrupt + soft + steal) * _TICK_S
        me = psutil.Process()
        ours = sum(_cpu_s(each) for each in [me, *me.children(recursive=True)])
        return cls(time.monotonic(), used, ours)


def busy_percent_by_others(before: HostTimes, after: HostTimes) -> float:
    """Return the share of all cores that others used between two moments, never below 0."""
    cores = os.cpu_count() or 1
    others = (after.used_s - before.used_s) - (after.ours_s - before.ours_s)
    return max(0.0, 100 * others / (cores * (after.clock_s - before.clock_s)))


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process that runs."""
    return _cpu_s(psutil.Process(pid))


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
