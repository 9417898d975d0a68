"""Where trials run, as the profiler sees it: this machine or a cluster stands behind it."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gshare.profile import ProfiledGpu

from .load import Plan


@dataclass(frozen=True, slots=True)
class Place:
    """The GPU that trials run on."""

    gpu: ProfiledGpu
    is_simulated: bool
    time_scale: int = 1
    """How many times slower than real a simulated GPU is."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What a GPU has done until `at_s` of its clock. All but the memory grow only."""

    at_s: float
    busy_s: float
    """Time in which any kernel or copy ran."""
    sm_s: float
    """Share of the SMs in use, integrated over time."""
    memory_bytes: int
    """What the replica holds now."""


class Served(Protocol):
    """One replica of the function: ready, and alone on its GPU."""

    def load(self, plan: Plan) -> AsyncGenerator[str, None]:
        """Put load on the replica; yield the lines that the load program says.

        GshareError where it cannot be run, or the replica ends meanwhile.
        """

    async def counters(self) -> Counters | None:
        """Return its GPU's counters; None where they cannot be had just now."""


class Site(Protocol):
    """Starts one replica after the other, each on a GPU with nothing else."""

    @property
    def place(self) -> Place:
        """Return the GPU that replicas get."""

    def serve(self, sm_percent: int, quota_percent: int) -> AbstractAsyncContextManager[Served]:
        """Have a replica of this shape while the block runs; its quota limit is its quota.

        GshareError, saying why, where it does not become ready.
        """
