"""One run of a batch: GPUs, daemons and clients are started, watched for a while, and ended."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks import host
from gshare.runtime.native import Native
from gshare_simgpu import GpuCounters

from . import figures, load, sampling
from .cases import Batch, Case
from .figures import LeaseFigures
from .gpu import BenchGpu

_WARM_UP_S = 0.4


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a case. `figures` are by the names of the bars, and some more."""

    case: Case
    leases: tuple[LeaseFigures, ...]
    figures: Mapping[str, float]

    def demanding(self, percent: float) -> "Run":
        """Return the run, judged by what its only client demands where that is below its quota."""
        (lease,) = self.leases
        if percent >= lease.client.quota_percent:
            return self
        lease = replace(lease, promised=percent)
        return replace(self, leases=(lease,), figures={**self.figures, **lease.figures()})

    @property
    def is_bound_by_demand(self) -> bool:
        """Tell whether its client wants less than its quota."""
        return any(lease.promised < lease.client.quota_percent for lease in self.leases)


def measure(batch: Batch, native: Native) -> list[Run]:
    """Run the cases of a batch at the same time, each on a GPU of its own."""
    with ExitStack() as ends:
        gpus = [ends.enter_context(BenchGpu(case, native)) for case in batch]
        loads = [ends.enter_context(load.clients(gpu, native)) for gpu in gpus]
        for case in batch:
            ends.enter_context(load.hogs(case))
        for client in (client for clients in loads for client in clients):
            client.go()
        time.sleep(_WARM_UP_S * batch[0].time_scale)
        readings, daemons = _watch(gpus)
        said = ["".join([client.end() for client in clients]) for clients in loads]
    runs = []
    for number, gpu in enumerate(gpus):
        leases, found = _figures(gpu, readings[number])
        found |= {"daemon_cpu_percent": daemons[number], **figures.wait_figures(said[number])}
        runs.append(Run(gpu.case, leases, found))
    return runs


def _watch(gpus: Sequence[BenchGpu]) -> tuple[list[list[GpuCounters]], list[float]]:
    """Return the readings of each GPU, and its daemon's share of a core in percent."""
    case = gpus[0].case
    started = time.monotonic()
    before = [host.cpu_s(gpu.daemon_pid) for gpu in gpus]
    readings = sampling.sample(gpus, case.steps, case.step_us)
    after = [host.cpu_s(gpu.daemon_pid) for gpu in gpus]
    whole_s = time.monotonic() - started
    return readings, [
        100 * (end - start) / whole_s for start, end in zip(before, after, strict=True)
    ]


def _figures(
    gpu: BenchGpu, readings: Sequence[GpuCounters]
) -> tuple[tuple[LeaseFigures, ...], dict[str, float]]:
    leases = tuple(
        figures.lease_figures(client, gpu.sms(client), readings) for client in gpu.case.clients
    )
    return leases, figures.case_figures(leases, readings)
