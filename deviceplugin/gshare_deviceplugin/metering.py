"""What a GPU has delivered, and to which lease: the token daemon's figures, or the simulator's own.

On simulated GPUs the simulator is asked, which knows nothing of leases and tokens and so judges
them independently. Every count only grows while the GPU's daemon, or simulator, lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gshare.annotations import NodeGpu
from gshare.runtime.tokend import Stats
from gshare_simgpu import SimulatedGpuError, SimulatedNode


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one lease got: GPU time, and the device memory it holds now."""

    gpu_ns: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """One GPU until `now_ns` of its clock."""

    now_ns: int
    busy_ns: int
    sm_time_ns: int
    leases: Mapping[str, Delivered] = field(default_factory=dict)


class Meter(Protocol):
    """Reads one kind of GPU."""

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return a GPU's counts; None where nobody can tell now."""


class DaemonMeter:
    """Real GPUs, as their token daemons meter them.

    Of holders side by side a daemon knows each one's time and not the union, and takes every
    partition for fully used: busy and SM time are upper bounds.
    """

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return the daemon's counts."""
        if stats is None:
            return None
        return Reading(
            now_ns=stats.gpu.now_ns,
            busy_ns=sum(each.used_ns for each in stats.leases),
            sm_time_ns=sum(
                each.used_ns * each.sm_percent * gpu.sm_count // 100 for each in stats.leases
            ),
            leases={
                each.lease_id: Delivered(each.used_ns, each.memory_bytes) for each in stats.leases
            },
        )


class SimulatedMeter:
    """Simulated GPUs, as they themselves saw it; a container's label is its lease's id."""

    def __init__(self, directory: Path, drivers: Path) -> None:
        self._directory = directory
        self._drivers = drivers
        self._node: SimulatedNode | None = None

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return the simulator's counts."""
        del stats
        try:
            self._node = self._node or SimulatedNode.open(self._directory, self._drivers)
            counters = self._node.counters(gpu.uuid)
        except SimulatedGpuError:
            return None
        return Reading(
            now_ns=counters.now_ns,
            busy_ns=counters.busy_ns,
            sm_time_ns=counters.sm_time_ns,
            leases={
                each.label: Delivered(each.busy_ns, each.memory_bytes) for each in counters.accounts
            },
        )
