"""What GPUs and replicas got between two snapshots of their counters.

Every counter grows only, so any two snapshots give the mean over the time between them. On the
simulated GPU the figures come from the simulator, which knows nothing of hook and daemon: they
check the enforcement independently. On a real GPU they are the token daemon's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseCounters:
    """What one lease has used since it was made."""

    lease_id: str
    busy_ns: int
    """GPU time: time in which at least one of its kernels or copies ran."""
    memory_bytes: int = 0
    shared_bytes: int | None = None
    """What it maps of other processes' memory; None where nobody tells."""


@dataclass(frozen=True, slots=True)
class GpuCounters:
    """What one GPU has done until `now_ns`."""

    uuid: str
    name: str
    sm_count: int
    now_ns: int
    """CLOCK_MONOTONIC at the moment of reading."""
    busy_ns: int
    sm_time_ns: int
    """Integral of the SMs in use over time."""
    max_concurrent_sm_percent: int
    """Largest sum of SM partitions that held the token at one moment since the daemon started."""
    leases: tuple[LeaseCounters, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters of all GPUs in use, each at its own `now_ns`."""

    gpus: tuple[GpuCounters, ...]


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """One GPU's means over the time between two snapshots."""

    uuid: str
    name: str
    seconds: float
    utilisation_percent: float
    """Share of the time in which any kernel or copy ran."""
    sm_occupancy_percent: float
    """Share of all SM time that was in use."""
    max_concurrent_sm_percent: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What happened between two snapshots."""

    gpus: tuple[GpuUsage, ...]
    delivered_percent: Mapping[str, float]
    """GPU time of each lease, by lease id, in percent of the time that passed."""

    def mean_utilisation_percent(self) -> float:
        """Return the mean over the GPUs in use, 0 without any."""
        return _mean([gpu.utilisation_percent for gpu in self.gpus])

    def mean_sm_occupancy_percent(self) -> float:
        """Return the mean over the GPUs in use, 0 without any."""
        return _mean([gpu.sm_occupancy_percent for gpu in self.gpus])

    def max_concurrent_sm_percent(self) -> int:
        """Return the largest figure of all GPUs, 0 without any."""
        return max((gpu.max_concurrent_sm_percent for gpu in self.gpus), default=0)


def between(before: Snapshot, after: Snapshot) -> Usage:
    """Return the means from `before` to `after`; a lease or GPU new in between counts from 0."""
    earlier = {gpu.uuid: gpu for gpu in before.gpus}
    gpus: list[GpuUsage] = []
    delivered: dict[str, float] = {}
    for now in after.gpus:
        then = earlier.get(now.uuid)
        elapsed_ns = now.now_ns - then.now_ns if then else 0
        if then is None or elapsed_ns <= 0:
            continue
        gpus.append(_gpu_usage(then, now, elapsed_ns))
        started = {lease.lease_id: lease.busy_ns for lease in then.leases}
        for lease in now.leases:
            used_ns = max(0, lease.busy_ns - started.get(lease.lease_id, 0))
            delivered[lease.lease_id] = 100 * used_ns / elapsed_ns
    return Usage(tuple(gpus), delivered)


def _gpu_usage(then: GpuCounters, now: GpuCounters, elapsed_ns: int) -> GpuUsage:
    return GpuUsage(
        uuid=now.uuid,
        name=now.name,
        seconds=elapsed_ns / 1e9,
        utilisation_percent=100 * (now.busy_ns - then.busy_ns) / elapsed_ns,
        sm_occupancy_percent=100 * (now.sm_time_ns - then.sm_time_ns) / (now.sm_count * elapsed_ns),
        max_concurrent_sm_percent=now.max_concurrent_sm_percent,
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
