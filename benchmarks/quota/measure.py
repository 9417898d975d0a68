"""One run of a batch: GPUs, daemons and clients are started, watched for a while, and ended."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import host
from gshare.runtime.native import Native
from gshare_simgpu import GpuCounters

from . import figures, load, sampling
from .cases import Batch, Case
from .figures import LeaseFigures
from .gpu import BenchGpu

_WARM_UP_S = 0.4

Promises = Mapping[str, float]
"""What was promised to clients by name, in percent, where it is not their quota."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a case. `figures` are by the names of the bars, and some more."""

    case: Case
    leases: tuple[LeaseFigures, ...]
    figures: Mapping[str, float]
    host_busy_percent: float
    attempts: int = 1

    @property
    def host_was_busy(self) -> bool:
        """Tell whether others took too much of the host."""
        return self.host_busy_percent > host.QUIET_PERCENT


@dataclass(frozen=True, slots=True)
class _Watched:
    """What was seen of a batch: readings and daemon's CPU share by GPU, and the host's load."""

    readings: Sequence[Sequence[GpuCounters]]
    daemon_percent: Sequence[float]
    host_busy_percent: float


def measure(batch: Batch, promises: Sequence[Promises], native: Native) -> list[Run]:
    """Run the cases of a batch at the same time, each on a GPU of its own."""
    with ExitStack() as ends:
        gpus = [ends.enter_context(BenchGpu(case, native)) for case in batch]
        loads = [ends.enter_context(load.clients(gpu, native)) for gpu in gpus]
        for case in batch:
            ends.enter_context(load.hogs(case))
        for client in (client for clients in loads for client in clients):
            client.go()
        time.sleep(_WARM_UP_S * batch[0].time_scale)
        watched = _watch(gpus)
        said = ["".join([client.end() for client in clients]) for clients in loads]
    runs = []
    for number, gpu in enumerate(gpus):
        leases, found = _figures(gpu, watched.readings[number], promises[number])
        found |= {"daemon_cpu_percent": watched.daemon_percent[number]}
        found |= figures.wait_figures(said[number])
        runs.append(Run(gpu.case, leases, found, watched.host_busy_percent))
    return runs


def _watch(gpus: Sequence[BenchGpu]) -> _Watched:
    case = gpus[0].case
    before = host.HostTimes.now()
    daemons_before = [host.cpu_s(gpu.daemon_pid) for gpu in gpus]
    readings = sampling.sample(gpus, case.steps, case.step_us)
    daemons_after = [host.cpu_s(gpu.daemon_pid) for gpu in gpus]
    after = host.HostTimes.now()
    whole_s = after.clock_s - before.clock_s
    used = zip(daemons_before, daemons_after, strict=True)
    return _Watched(
        readings,
        [100 * (end - start) / whole_s for start, end in used],
        host.busy_percent_by_others(before, after),
    )


def _figures(
    gpu: BenchGpu, readings: Sequence[GpuCounters], promises: Promises
) -> tuple[tuple[LeaseFigures, ...], dict[str, float]]:
    leases = tuple(
        figures.lease_figures(
            client, gpu.sms(client), promises.get(client.name, client.quota_percent), readings
        )
        for client in gpu.case.clients
    )
    return leases, figures.case_figures(leases, readings)
