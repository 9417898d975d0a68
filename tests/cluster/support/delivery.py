"""What leases got of their GPUs, by the simulated GPUs' own counters."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.cluster.harness import Cluster

from gshare.runtime.native import Native
from gshare_simgpu import SimulatedNode

WINDOW_NS: Final = 40_000_000
"""A token window at time scale 1."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one lease has used since its GPU was made."""

    node: str
    gpu_uuid: str
    busy_ns: int
    sm_time_ns: int
    launches: int
    processes: int
    now_ns: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one lease got in a span of time."""

    time_percent: float
    """Time in which a kernel of it ran."""
    sms: float
    """SMs that it had meanwhile, on average."""
    launches: int


Reading = Mapping[str, Use]


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads the simulated GPUs of all nodes; leases are named by their ids."""

    nodes: Mapping[str, SimulatedNode] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster) -> "Meter":
        """Open the simulated GPUs of a cluster's nodes."""
        driver = Native.locate().simgpu
        return cls(
            {
                node.name: SimulatedNode.open(node.gshare_dir / "simgpu", driver)
                for node in cluster.nodes
            }
        )

    @property
    def window_s(self) -> float:
        """The token window, as the nodes' time scale makes it."""
        (scale,) = {node.time_scale for node in self.nodes.values()}
        return scale * WINDOW_NS / 1e9

    def read(self) -> Reading:
        """Return what every lease has used so far."""
        return {
            account.label: Use(
                name,
                gpu.uuid,
                account.busy_ns,
                account.sm_time_ns,
                account.launches,
                account.processes,
                counters.now_ns,
            )
            for name, node in self.nodes.items()
            for gpu in node.gpus
            for counters in [node.counters(gpu.uuid)]
            for account in counters.accounts
        }

    def shares(self, seconds: float) -> dict[str, Share]:
        """Return what every lease gets from now on, over whole windows of about `seconds`."""
        windows = max(1, round(seconds / self.window_s))
        before = self.read()
        time.sleep(windows * self.window_s)
        return between(before, self.read())

    def close(self) -> None:
        """Unmap the GPUs."""
        for node in self.nodes.values():
            node.close()


def between(before: Reading, after: Reading) -> dict[str, Share]:
    """Return what every lease of both readings got between them."""
    return {lease: _share(before[lease], now) for lease, now in after.items() if lease in before}


def _share(before: Use, now: Use) -> Share:
    busy_ns = now.busy_ns - before.busy_ns
    return Share(
        time_percent=100 * busy_ns / (now.now_ns - before.now_ns),
        sms=(now.sm_time_ns - before.sm_time_ns) / max(1, busy_ns),
        launches=now.launches - before.launches,
    )
