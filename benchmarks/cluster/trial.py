"""One trial: warm pods, then those on the clock, and a watch that tells when each is bound.

The scheduler binds the warm pods first: by then it knows all nodes, the extender has rebuilt its
index, and connections are open. The clock ends with the bind of the last pod. It begins with the
creation of the first where pods arrive `DURING`, as fast as the API server takes them, which costs
the same processors; where all were created `BEFORE` the scheduler started, with the last warm bind.
"""

import dataclasses
import re
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import host
from benchmarks.host import HostTimes
from gshare.runtime.kube import ApiServer, ApiUnreachable

from . import figures, objects
from .figures import Drain, Trial
from .histograms import Scrape
from .rig import PODS, Rig, TrialError

BEFORE: Final = "before"
DURING: Final = "during"
ARRIVALS: Final = (DURING, BEFORE)
_SILENCE_S: Final = 60.0
"""Without one bind for so long a trial has failed."""
_ADDED: Final = b'{"type":"ADDED"'
_VERSION: Final = re.compile(rb'"resourceVersion":"(\d+)"')


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was, and the CPU time that everybody had used by then."""

    host: HostTimes
    cpu_s: dict[str, float]

    @classmethod
    def now(cls, pids: dict[str, int]) -> "Moment":
        """Read them. Processes of the cluster count as ours."""
        used = {name: host.cpu_s(pid) for name, pid in pids.items()}
        times = HostTimes.now()
        ours_s = times.ours_s + sum(used.values())
        return cls(dataclasses.replace(times, ours_s=ours_s), used)


@dataclass(frozen=True, slots=True)
class Load:
    """What arrives, and when."""

    pods: int
    """On the clock."""
    warm_pods: int
    """Bound before it begins."""
    arrivals: str = DURING

    def __post_init__(self) -> None:
        """Refuse arrivals that are unknown, with ValueError."""
        if self.arrivals not in ARRIVALS:
            raise ValueError(f"arrivals {self.arrivals!r}: must be one of {', '.join(ARRIVALS)}")


def run(rig: Rig, nodes: int, load: Load, *, has_extender: bool) -> Trial:
    """Measure once; leaves no pods and no scheduler behind."""
    bodies = objects.pods(load.warm_pods + load.pods)
    late = load.warm_pods if load.arrivals == DURING else len(bodies)
    try:
        rig.create(PODS, bodies[:late])
        if has_extender:
            rig.start_extender()
        version = _version(rig.api)
        rig.start_scheduler(has_extender=has_extender)
        with ThreadPoolExecutor(1) as creator, closing(_binds(rig.api, version)) as binds:
            _follow(rig, binds, load.warm_pods)
            begin = Moment.now(dict(rig.pids()))
            creating = creator.submit(rig.create, PODS, bodies[late:])
            _follow(rig, binds, load.pods)
            drain = _between(begin, load.pods, dict(rig.pids()))
            creating.result()
        return _trial(rig, nodes, load.warm_pods, drain, has_extender=has_extender)
    finally:
        rig.clear()


def quietest(attempts: Iterable[Trial]) -> Trial:
    """Return the first attempt that others left in quiet, else the one disturbed least."""
    least: Trial | None = None
    for found in attempts:
        if least is None or found.drain.host_busy_percent < least.drain.host_busy_percent:
            least = found
        if least.drain.host_busy_percent <= host.QUIET_PERCENT:
            break
    if least is None:
        raise ValueError("attempts: must be one at least")
    return least


def _follow(rig: Rig, binds: Iterator[bytes], pods: int) -> None:
    """Return when so many more pods are bound."""
    bound = 0
    try:
        while bound < pods:
            next(binds)
            bound += 1
    except ApiUnreachable as error:
        said = rig.last_words()
        raise TrialError(f"{bound} of {pods} pods are bound, then: {error}; {said}") from error


def _binds(api: ApiServer, version: str) -> Generator[bytes, None, None]:
    """Yield a watch's event for each pod that is bound after `version`.

    A busy API server ends a watch that does not keep up, without a word; it goes on from the last
    version seen. ApiUnreachable after `_SILENCE_S` without an event.
    """
    while True:
        params = {"fieldSelector": "spec.nodeName!=", "resourceVersion": version}
        watch = api.watch(PODS, params, _SILENCE_S)
        try:
            for line in watch:
                version = _seen(line)
                if line.startswith(_ADDED):
                    yield line
        finally:
            watch.close()


def _seen(line: bytes) -> str:
    found = _VERSION.search(line)
    if found is None:
        raise TrialError(f"the watch of pods says {line[:300].decode()}")
    return found[1].decode()


def _between(begin: Moment, pods: int, pids: dict[str, int]) -> Drain:
    end = Moment.now(pids)
    return Drain(
        pods,
        end.host.clock_s - begin.host.clock_s,
        {name: round(end.cpu_s[name] - begin.cpu_s[name], 2) for name in end.cpu_s},
        {name: _most_memory_bytes(pid) for name, pid in pids.items()},
        round(host.busy_percent_by_others(begin.host, end.host), 1),
    )


def _trial(rig: Rig, nodes: int, warm_pods: int, drain: Drain, *, has_extender: bool) -> Trial:
    scheduler = Scrape.parse(rig.scheduler_metrics())
    began_s = time.monotonic()
    extender = Scrape.parse(rig.extender_metrics()) if has_extender else Scrape({})
    scrape_s = time.monotonic() - began_s
    return Trial(
        nodes,
        has_extender,
        drain,
        warm_pods,
        figures.attempts(scheduler),
        figures.attempt(scheduler),
        figures.algorithm(scheduler),
        figures.verbs(extender),
        figures.conflicts(extender),
        round(1e3 * scrape_s, 1) if has_extender else 0.0,
    )


def _version(api: ApiServer) -> str:
    """Return the version of the list of pods now, from which a watch misses nothing."""
    listed = msgspec.json.decode(api.get(PODS, {"limit": 1}))
    version: str = listed["metadata"]["resourceVersion"]
    return version


def _most_memory_bytes(pid: int) -> int:
    """Return the highest resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/{pid}/status has no VmHWM")
