"""Control of the simulated GPU: make one, run programs on it, and read what really ran."""

from .counters import Account, GpuCounters
from .errors import SimulatedGpuError
from .node import SimulatedGpu, SimulatedNode
from .profile import profiles
from .topology import Topology

__all__ = [
    "Account",
    "GpuCounters",
    "SimulatedGpu",
    "SimulatedGpuError",
    "SimulatedNode",
    "Topology",
    "profiles",
]
