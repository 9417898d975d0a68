"""What pods got of their GPUs, from two readings of the node agents' metrics. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from gshare import names

PodKey = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of all agents that answered."""

    busy_s: Mapping[PodKey, float] = field(default_factory=dict)
    memory_bytes: Mapping[PodKey, int] = field(default_factory=dict)
    gpu_of: Mapping[PodKey, str] = field(default_factory=dict)
    clock_s: Mapping[str, float] = field(default_factory=dict)
    """Each GPU's clock, by UUID, at the moment of its reading."""


@dataclass(frozen=True, slots=True)
class Got:
    """What one pod got; None where it is not known."""

    percent: float | None = None
    memory_bytes: int | None = None


def parse(pages: Iterable[str]) -> Reading:
    """Return what the agents' pages say; ValueError where one is no page of metrics."""
    busy: dict[PodKey, float] = {}
    memory: dict[PodKey, int] = {}
    gpus: dict[PodKey, str] = {}
    clocks: dict[str, float] = {}
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                key = sample.labels.get("namespace", ""), sample.labels.get("pod", "")
                gpu = sample.labels.get("gpu", "")
                if sample.name == names.METRIC_LEASE_GPU_SECONDS:
                    busy[key] = busy.get(key, 0.0) + sample.value
                    gpus[key] = gpu
                elif sample.name == names.METRIC_LEASE_MEMORY_BYTES:
                    memory[key] = memory.get(key, 0) + int(sample.value)
                elif sample.name == names.METRIC_GPU_CLOCK_SECONDS:
                    clocks[gpu] = sample.value
    return Reading(busy, memory, gpus, clocks)


def got(before: Reading, after: Reading, key: PodKey) -> Got:
    """Return what one pod got between two readings.

    A pod whose GPU's clock stood still, or whose counter began anew, got an unknown share.
    """
    gpu = after.gpu_of.get(key, "")
    passed_s = after.clock_s.get(gpu, 0.0) - before.clock_s.get(gpu, 0.0)
    used_s = after.busy_s.get(key, -1.0) - before.busy_s.get(key, 0.0)
    is_known = key in before.busy_s and gpu in before.clock_s and passed_s > 0 and used_s >= 0
    percent = round(100 * used_s / passed_s, 1) if is_known else None
    return Got(percent, after.memory_bytes.get(key))
