"""One trial: a replica that is served is put under load, and watched meanwhile."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gshare.errors import GshareError

from .load import Figures, Phase, Plan, read_line
from .request import Request
from .settings import TrialSettings
from .site import Counters, Served

_SAMPLE_PERIOD_S: Final = 0.5


class TrialError(GshareError):
    """A trial that gave no figures; its text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a trial measured, at the speed of a real GPU."""

    throughput_rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_bytes: int
    """The most that was held at once."""
    gpu_utilization: float | None
    """Share of the time under saturation in which the GPU ran anything; None where not known."""
    sm_occupancy: float | None
    """Share of all SM time in use meanwhile."""
    requests: int


@dataclass(slots=True)
class Gauge:
    """What was seen of the GPU, by phase of the load."""

    phase: Phase = Phase.WARM_UP
    samples: list[tuple[Phase, Counters]] = field(default_factory=list)

    def see(self, counters: Counters | None) -> None:
        """Note counters that were read now."""
        if counters is not None:
            self.samples.append((self.phase, counters))

    def memory_bytes(self) -> int:
        """Return the most that was seen."""
        return max((seen.memory_bytes for _, seen in self.samples), default=0)

    def saturated(self) -> tuple[float, float] | None:
        """Return utilisation and SM occupancy under saturation; None where none was seen."""
        seen = [counters for phase, counters in self.samples if phase is Phase.SATURATION]
        if len(seen) < 2 or seen[-1].at_s <= seen[0].at_s:
            return None
        passed_s = seen[-1].at_s - seen[0].at_s
        return (
            min(1.0, (seen[-1].busy_s - seen[0].busy_s) / passed_s),
            min(1.0, (seen[-1].sm_s - seen[0].sm_s) / passed_s),
        )


async def measure(
    served: Served, request: Request, settings: TrialSettings, time_scale: int = 1
) -> Measured:
    """Return what a replica does; TrialError or GshareError where it fails."""
    gauge = Gauge()
    watching = asyncio.create_task(_watch(served, gauge))
    try:
        figures = await _follow(served, Plan(request, settings.times(time_scale)), gauge)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    if figures.failure:
        raise TrialError(f"requests fail: {request}: {figures.failure}")
    return _measured(figures, gauge, time_scale)


def _measured(figures: Figures, gauge: Gauge, time_scale: int) -> Measured:
    if not gauge.memory_bytes():
        raise TrialError("nothing could be seen of the GPU's counters")
    utilization, occupancy = gauge.saturated() or (None, None)
    return Measured(
        throughput_rps=figures.throughput_rps * time_scale,
        p50_ms=figures.p50_ms / time_scale,
        p95_ms=figures.p95_ms / time_scale,
        p99_ms=figures.p99_ms / time_scale,
        memory_bytes=gauge.memory_bytes(),
        gpu_utilization=utilization,
        sm_occupancy=occupancy,
        requests=figures.requests,
    )


async def _follow(served: Served, plan: Plan, gauge: Gauge) -> Figures:
    """Run the load to its end and return its figures, its phases told to `gauge`."""
    others: list[str] = []
    async with contextlib.aclosing(served.load(plan)) as lines:
        async for line in lines:
            said = read_line(line)
            if isinstance(said, Figures):
                return said
            if said is None:
                others.append(line)
                continue
            gauge.see(await served.counters())
            gauge.phase = said
            gauge.see(await served.counters())
    raise TrialError(f"the load ended without figures: {_last_of(others)}")


async def _watch(served: Served, gauge: Gauge) -> None:
    while True:
        gauge.see(await served.counters())
        await asyncio.sleep(_SAMPLE_PERIOD_S)


def _last_of(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it said nothing"
