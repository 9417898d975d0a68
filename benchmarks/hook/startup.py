"""What the hook adds to a program's start, and how long many programs take that start at once."""

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.quota.cases import Case, Client
from benchmarks.quota.gpu import BenchError, BenchGpu
from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.report import Claim

PAIRS = 100
PROCESSES = 200
_LEASES = 8
_ALONE = Case("start", "start", (Client("start", 100, 100, 10),), 0)
_CROWD = Case(
    "crowd", "crowd", tuple(Client(f"crowd-{each}", 12, 100, 10) for each in range(_LEASES)), 0
)


@dataclass(frozen=True, slots=True)
class Startup:
    """Wall times: pairs of one program's, alone, in ms; and of all programs at once, in s."""

    bare_ms: Sequence[float]
    hooked_ms: Sequence[float]
    crowd_bare_s: float
    crowd_hooked_s: float

    @property
    def added_ms(self) -> float:
        """Return the median with the hook less the median without."""
        return statistics.median(self.hooked_ms) - statistics.median(self.bare_ms)

    def rows(self) -> list[dict[str, object]]:
        """Return the rows of the report."""
        bare, hooked = statistics.median(self.bare_ms), statistics.median(self.hooked_ms)
        return [
            {
                "part": "start",
                "what": "start, one kernel, end",
                "pairs": len(self.bare_ms),
                "bare_median_ms": round(bare, 3),
                "hooked_median_ms": round(hooked, 3),
                "added_median_ms": round(self.added_ms, 3),
            },
            {
                "part": "start",
                "what": f"{PROCESSES} processes at once, of {_LEASES} leases",
                "bare_s": round(self.crowd_bare_s, 3),
                "hooked_s": round(self.crowd_hooked_s, 3),
            },
        ]

    def claims(self) -> list[Claim]:
        """Judge both."""
        name = f"start_{PROCESSES}_processes_s"
        return [
            Claim.compare("hook_start_added_ms", self.added_ms, "ms", "<=", 2),
            Claim.compare(name, self.crowd_hooked_s, "s", "<=", 5),
        ]


def measure(native: Native) -> Startup:
    """Start programs that launch one kernel, wait for it and end."""
    with BenchGpu(_ALONE, native) as gpu:
        (hooked,) = _environments(gpu)
        bare = _unhooked(hooked)
        pairs = [(_start(native, [bare]), _start(native, [hooked])) for _ in range(PAIRS)]
    with BenchGpu(_CROWD, native) as gpu:
        crowd = _environments(gpu) * (PROCESSES // _LEASES)
        crowd_bare_s = _start(native, [_unhooked(each) for each in crowd])
        crowd_hooked_s = _start(native, crowd)
    return Startup(
        [1e3 * bare_s for bare_s, _ in pairs],
        [1e3 * hooked_s for _, hooked_s in pairs],
        crowd_bare_s,
        crowd_hooked_s,
    )


def _environments(gpu: BenchGpu) -> list[dict[str, str]]:
    return [gpu.environment(client) for client in gpu.case.clients]


def _unhooked(environment: Mapping[str, str]) -> dict[str, str]:
    ours = {names.ENV_PRELOAD, names.ENV_LEASE_DIR}
    return {name: value for name, value in environment.items() if name not in ours}


def _start(native: Native, environments: Sequence[Mapping[str, str]]) -> float:
    """Start a program in each environment; return the seconds until the last one has ended.

    None launches before all are started.
    """
    program = str(native.root / "bench" / "quota_client")
    words = [program, "once", "1", "10"]
    gate, opener = os.pipe()
    files = [
        (os.POSIX_SPAWN_DUP2, gate, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    started = time.perf_counter()
    pids = [os.posix_spawn(program, words, each, file_actions=files) for each in environments]
    os.write(opener, bytes(len(pids)))
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    taken = time.perf_counter() - started
    os.close(gate)
    os.close(opener)
    if any(statuses):
        failed = sum(status != 0 for status in statuses)
        raise BenchError(f"{failed} of {len(pids)} programs failed: {set(statuses)}")
    return taken
