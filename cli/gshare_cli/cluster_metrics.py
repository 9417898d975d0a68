"""What pods got of their GPUs, from readings of the node agents' metrics. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gshare import names

from .usage import GpuCounters, LeaseCounters, Snapshot

PodKey = tuple[str, str]
"""Namespace and name."""
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Got:
    """What one pod got; None where it is not known."""

    percent: float | None = None
    memory_bytes: int | None = None
    shared_bytes: int | None = None
    """What it maps of other processes' memory, who are charged for it."""


def parse(pages: Iterable[str]) -> Snapshot:
    """Return what the agents' pages say; ValueError where one is no page of metrics.

    A lease's id is "namespace/pod".
    """
    return Snapshot(tuple(gpu for page in pages for gpu in _gpus_of(page)))


def got(before: Snapshot, after: Snapshot, key: PodKey) -> Got:
    """Return what one pod got between two readings.

    A pod whose GPU's clock stood still, or whose counter began anew, got an unknown share.
    """
    earlier, now = _find(before, key), _find(after, key)
    if now is None:
        return Got()
    held = now[1].memory_bytes, now[1].shared_bytes
    if earlier is None or earlier[0].uuid != now[0].uuid:
        return Got(None, *held)
    passed_ns = now[0].now_ns - earlier[0].now_ns
    used_ns = now[1].busy_ns - earlier[1].busy_ns
    if passed_ns <= 0 or used_ns < 0:
        return Got(None, *held)
    return Got(round(100 * used_ns / passed_ns, 1), *held)


def _find(snapshot: Snapshot, key: PodKey) -> tuple[GpuCounters, LeaseCounters] | None:
    wanted = "/".join(key)
    for gpu in snapshot.gpus:
        for lease in gpu.leases:
            if lease.lease_id == wanted:
                return gpu, lease
    return None


def _gpus_of(page: str) -> tuple[GpuCounters, ...]:
    samples = [each for family in text_string_to_metric_families(page) for each in family.samples]
    clocks = [each for each in samples if each.name == names.METRIC_GPU_CLOCK_SECONDS]
    return tuple(
        _gpu(clock, [each for each in samples if each.labels.get("gpu") == clock.labels["gpu"]])
        for clock in sorted(clocks, key=lambda clock: clock.labels["gpu"])
    )


def _gpu(clock: Sample, samples: list[Sample]) -> GpuCounters:
    values = {each.name: each.value for each in samples if "pod" not in each.labels}
    return GpuCounters(
        uuid=clock.labels["gpu"],
        name=clock.labels.get("model", ""),
        sm_count=int(values.get(names.METRIC_GPU_SM_COUNT, 1)),
        now_ns=round(clock.value * _NS),
        busy_ns=round(values.get(names.METRIC_GPU_BUSY_SECONDS, 0) * _NS),
        sm_time_ns=round(values.get(names.METRIC_GPU_SM_SECONDS, 0) * _NS),
        max_concurrent_sm_percent=round(100 * values.get(names.METRIC_GPU_MAX_CONCURRENT_SM, 0)),
        leases=tuple(_leases(samples)),
    )


def _leases(samples: list[Sample]) -> Iterable[LeaseCounters]:
    """Yield each pod's counters; a container that starts again has two leases for a moment."""
    busy = _by_pod(samples, names.METRIC_LEASE_GPU_SECONDS)
    memory = _by_pod(samples, names.METRIC_LEASE_MEMORY_BYTES)
    shared = _by_pod(samples, names.METRIC_LEASE_SHARED_BYTES)
    for pod, used_s in busy.items():
        mapped = int(shared[pod]) if pod in shared else None
        yield LeaseCounters(pod, round(used_s * _NS), int(memory.get(pod, 0)), mapped)


def _by_pod(samples: list[Sample], metric: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in samples:
        if each.name == metric:
            found[_pod(each)] = found.get(_pod(each), 0) + each.value
    return found


def _pod(sample: Sample) -> str:
    return f"{sample.labels.get('namespace', '')}/{sample.labels.get('pod', '')}"
