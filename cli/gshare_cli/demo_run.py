"""Runs a workload under saturating load in one session and measures what its replicas got."""

import asyncio
import contextlib
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import psutil

from gshare.errors import GshareError
from gshare.workload import Workload
from gshare_example_server.load import Load, Target

from . import usage
from .demo_count import Count
from .demo_result import Mode, ModeResult, replica_results
from .gpus import GpuSettings
from .session import Session, SessionSettings
from .views import ReplicaView

USERS_PER_REPLICA: Final = 5
"""Two requests on the GPU's queue and three that wait: a replica never runs dry."""
WARM_UP_S: Final = 4.0
_READY_TIMEOUT_S: Final = 90.0
_SHOW_PERIOD_S: Final = 0.5

Show = Callable[[str, Sequence[ReplicaView], Mapping[str, float]], None]
"""Told twice a second: the phase, the replicas, and GPU time so far by lease id."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: a workload, on how many simulated GPUs, for how long."""

    mode: Mode
    workload: Workload
    gpus: int
    seconds: float
    time_scale: int


def time_shared(workload: Workload) -> Workload:
    """Return the workload with every replica owning all SMs while it runs."""
    functions = [
        replace(function, shape=replace(function.shape, sm_percent=100))
        for function in workload.functions
    ]
    return replace(workload, functions=functions)


async def measure(plan: Plan, show: Show) -> ModeResult:
    """Run `plan` and return what was delivered; GshareError where it cannot run."""
    gpus = GpuSettings(simulated=True, count=plan.gpus, time_scale=plan.time_scale)
    async with Session.open(SessionSettings(gpus=gpus)) as session:
        await session.start([plan.workload])
        await _wait_ready(session, show)
        async with _saturated(session):
            start = session.snapshot()
            await _watch(session, "warming up", WARM_UP_S, start, show)
            psutil.cpu_percent()  # the next call tells the mean since this one
            before, counts_before = session.snapshot(), await _counts(session.replicas)
            await _watch(session, "measuring", plan.seconds, before, show)
            after, counts_after = session.snapshot(), await _counts(session.replicas)
            host_busy_percent = psutil.cpu_percent()
        used = usage.between(before, after)
        rates = {
            name: counts_after[name].rate_since(counts_before[name]) * session.time_scale
            for name in counts_after
        }
        replicas = replica_results(session.replicas, used, rates)
        return ModeResult(plan.mode, plan.seconds, used, replicas, host_busy_percent)


@contextlib.asynccontextmanager
async def _saturated(session: Session) -> AsyncIterator[None]:
    """Keep every Service under a closed loop of load while the block runs."""
    load = Load(
        Target(
            service.name,
            f"http://127.0.0.1:{service.local_port}/infer",
            users=USERS_PER_REPLICA * service.ready_replicas,
        )
        for service in session.services
    )
    with load:
        yield
        if not load.is_running:
            raise GshareError("the load ended before the measurement did")
        # The Services pass connections on in this thread: let them while the load ends.
        await asyncio.to_thread(load.stop)


async def _wait_ready(session: Session, show: Show) -> None:
    waiting = asyncio.create_task(session.wait_ready(_READY_TIMEOUT_S))
    while not waiting.done():
        show("starting", session.replicas, {})
        await asyncio.wait([waiting], timeout=_SHOW_PERIOD_S)
    await waiting


async def _watch(
    session: Session, phase: str, seconds: float, since: usage.Snapshot, show: Show
) -> None:
    """Let `seconds` pass and show what was delivered since `since`."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        so_far = usage.between(since, session.snapshot()).delivered_percent
        show(f"{phase}, {left:.0f} s to go", session.replicas, so_far)
        await asyncio.sleep(min(left, _SHOW_PERIOD_S))


async def _counts(replicas: Iterable[ReplicaView]) -> dict[str, Count]:
    """Ask each replica's own metrics how many requests it has answered well."""
    views = [view for view in replicas if view.port is not None]
    counts = await asyncio.gather(*(asyncio.to_thread(_count, view) for view in views))
    return {view.name: count for view, count in zip(views, counts, strict=True)}


def _count(view: ReplicaView) -> Count:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{view.port}/metrics", timeout=10) as answer:
            return Count.of(answer.read().decode())
    except OSError as error:
        raise GshareError(f"{view.name}: no metrics: {error}") from error
