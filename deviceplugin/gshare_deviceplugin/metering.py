"""Who meters a node's GPUs: their token daemons, or on simulated ones the simulator.

The simulator knows nothing of leases and tokens, and so judges them independently.
"""

from pathlib import Path
from typing import Protocol

from gshare.annotations import NodeGpu
from gshare.runtime.metering import Delivered, Reading, by_daemon, with_shared
from gshare.runtime.tokend import Stats
from gshare_simgpu import SimulatedGpuError, SimulatedNode


class Meter(Protocol):
    """Reads one kind of GPU."""

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return a GPU's counts; None where nobody can tell now."""


class DaemonMeter:
    """Real GPUs, as their token daemons meter them."""

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return the daemon's counts."""
        return None if stats is None else by_daemon(stats, gpu.sm_count)


class SimulatedMeter:
    """Simulated GPUs, as they themselves saw it; a container's label is its lease's id."""

    def __init__(self, directory: Path, drivers: Path) -> None:
        self._directory = directory
        self._drivers = drivers
        self._node: SimulatedNode | None = None

    def read(self, gpu: NodeGpu, stats: Stats | None) -> Reading | None:
        """Return the simulator's counts, and the daemon's of shared memory."""
        try:
            self._node = self._node or SimulatedNode.open(self._directory, self._drivers)
            counters = self._node.counters(gpu.uuid)
        except SimulatedGpuError:
            return None
        reading = Reading(
            now_ns=counters.now_ns,
            busy_ns=counters.busy_ns,
            sm_time_ns=counters.sm_time_ns,
            leases={
                each.label: Delivered(each.busy_ns, each.memory_bytes) for each in counters.accounts
            },
        )
        return with_shared(reading, stats)
