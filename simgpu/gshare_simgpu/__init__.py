"""Control of the simulated GPU: make one, run programs on it, and read what really ran."""

from .counters import Account, GpuCounters, Span, Spans
from .errors import SimulatedGpuError
from .node import SimulatedGpu, SimulatedNode
from .profile import profiles
from .topology import MAX_GPUS, MAX_TIME_SCALE, Topology

__all__ = [
    "MAX_GPUS",
    "MAX_TIME_SCALE",
    "Account",
    "GpuCounters",
    "SimulatedGpu",
    "SimulatedGpuError",
    "SimulatedNode",
    "Span",
    "Spans",
    "Topology",
    "profiles",
]
