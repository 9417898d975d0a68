"""What the hook adds to a driver call, by the way in which a program finds the call."""

import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quota.cases import Case, Client
from benchmarks.quota.gpu import BenchError, BenchGpu
from gshare import names
from gshare.runtime import shim
from gshare.runtime.native import Native
from gshare.runtime.report import Claim

REPEATS = 7
ROUNDS = 30
_COUNTS = {"launches": 20_000, "allocations": 2_000}
_CLIENT = Client("calls", 100, 100, 1000)
_CASE = Case("calls", "calls", (_CLIENT,), 0)
_PRELOADED = ("direct", "dlsym", "procaddress")
_SHIM = "shim"
_ALLOCATION = "cuMemAlloc+cuMemFree"


@dataclass(frozen=True, slots=True)
class CallCost:
    """ns of one call by one route: ROUNDS of each repeat, repeat after repeat."""

    call: str
    route: str
    driver: str
    bare_ns: Sequence[float]
    hooked_ns: Sequence[float]

    @property
    def added_least_ns(self) -> float:
        """Return the least with the hook less the least without, as the median of the repeats.

        A core runs at more than one speed; within a repeat, bare and hooked follow each other.
        """
        pairs = zip(_leasts(self.bare_ns), _leasts(self.hooked_ns), strict=True)
        return statistics.median(hooked - bare for bare, hooked in pairs)

    @property
    def added_least_percent(self) -> float:
        """Return the same in percent of the least without."""
        return 100 * self.added_least_ns / min(self.bare_ns)

    def row(self) -> dict[str, object]:
        """Return the row of the report."""
        bare, hooked = statistics.median(self.bare_ns), statistics.median(self.hooked_ns)
        figures = {
            "bare_least_ns": min(self.bare_ns),
            "bare_median_ns": bare,
            "hooked_least_ns": min(self.hooked_ns),
            "hooked_median_ns": hooked,
            "added_least_ns": self.added_least_ns,
            "added_median_ns": hooked - bare,
            "added_least_percent": self.added_least_percent,
        }
        head = {"part": "call", "call": self.call, "route": self.route, "driver": self.driver}
        return {**head, **{name: round(value, 2) for name, value in figures.items()}}


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to run the program: its route, and the environment that makes it so."""

    route: str
    environment: Mapping[str, str]

    @property
    def is_hooked(self) -> bool:
        """Tell whether the program is part of a lease."""
        return names.ENV_LEASE_DIR in self.environment


def measure(native: Native) -> list[CallCost]:
    """Time launches on the driver that does nothing, allocations on the simulated one."""
    null = native.root / "bench" / "null"
    with BenchGpu(_CASE, native) as gpu:
        launches = _costs(gpu, native, "launches", ("null", null))
        allocations = _costs(gpu, native, "allocations", ("simulated", native.simgpu))
    return [*launches, *allocations]


def claims(costs: Sequence[CallCost]) -> list[Claim]:
    """Judge the worst kernel launch and the worst allocation over all routes."""
    kernels = [cost for cost in costs if cost.call.startswith("cuLaunch")]
    others = [cost for cost in costs if cost.call in {"cuMemcpyDtoDAsync", "cuMemsetD8Async"}]
    allocations = [cost for cost in costs if cost.call.startswith(_ALLOCATION)]
    launch_ns = max(cost.added_least_ns for cost in kernels)
    copy_ns = max(cost.added_least_ns for cost in others)
    percent = max(cost.added_least_percent for cost in allocations)
    return [
        Claim.compare("launch_added_least_ns", launch_ns, "ns", "<=", 3),
        Claim.compare("copy_added_least_ns", copy_ns, "ns", "<=", 3),
        Claim.compare("alloc_free_added_percent", percent, "%", "<=", 15),
    ]


def _costs(gpu: BenchGpu, native: Native, calls: str, driver: tuple[str, Path]) -> list[CallCost]:
    """Run the routes in turns, so that what the host does meanwhile meets all of them."""
    name, folder = driver
    found: dict[tuple[str, bool], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(REPEATS):
        for way in _ways(gpu, native, folder):
            for call, ns in _run(native, way, calls):
                found[way.route, way.is_hooked][call].append(ns)
    return [
        CallCost(call, route, name, found[route, False][call], hooked)
        for (route, is_hooked), rounds in found.items()
        if is_hooked
        for call, hooked in rounds.items()
    ]


def _ways(gpu: BenchGpu, native: Native, driver: Path) -> Iterator[_Way]:
    """Yield each route without and with the hook."""
    hooked = {**gpu.environment(_CLIENT), "LD_LIBRARY_PATH": str(driver)}
    unloaded = {name: value for name, value in hooked.items() if name != names.ENV_PRELOAD}
    bare = {name: value for name, value in unloaded.items() if name != names.ENV_LEASE_DIR}
    for route in _PRELOADED:
        yield _Way(route, bare)
        yield _Way(route, hooked)
    folder = gpu.folder / f"shim-{driver.name}"
    if not folder.exists():
        folder.mkdir()
        shim.write(folder / "libcuda.so.1", native.hook, driver / "libcuda.so.1")
    yield _Way(_SHIM, bare)
    yield _Way(_SHIM, {**unloaded, "LD_LIBRARY_PATH": str(folder)})


def _leasts(ns: Sequence[float]) -> list[float]:
    """Return the least of each repeat's rounds."""
    return [min(ns[start : start + ROUNDS]) for start in range(0, len(ns), ROUNDS)]


def _run(native: Native, way: _Way, calls: str) -> Iterator[tuple[str, float]]:
    """Run the program once; yield the call and the ns of each round."""
    program = native.root / "bench" / "hook_calls"
    route = "direct" if way.route == _SHIM else way.route
    done = subprocess.run(
        [program, route, calls, str(ROUNDS), str(_COUNTS[calls])],
        env=way.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
    for line in done.stdout.splitlines():
        call, ns = line.split()
        yield call, float(ns)
