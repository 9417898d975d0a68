"""A site without a machine: replicas whose load says at once what a known function would do."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from gshare.profile import ProfiledGpu
from gshare_profiler.journal import Trial
from gshare_profiler.load import Figures, Phase, Plan
from gshare_profiler.load.plan import line_of
from gshare_profiler.site import Counters, Place
from gshare_profiler.trial import Measured, TrialError

GIB = 2**30
V100 = ProfiledGpu("Simulated V100", 80, 16 * GIB)
Rate = Callable[[int, int], float]


def resnet(sm: int, quota: int) -> float:
    """Return what ResNet-50 does on a V100 where quotas are exact."""
    return {6: 49.8, 12: 68.5}.get(sm, 75.0) * quota / 100


def measured(throughput_rps: float = 20.0, **changes: object) -> Measured:
    """Return what a trial measured; p99 falls with the throughput."""
    values: dict[str, object] = {
        "throughput_rps": throughput_rps,
        "p50_ms": 1000 / throughput_rps,
        "p95_ms": 1500 / throughput_rps,
        "p99_ms": 2000 / throughput_rps,
        "memory_bytes": GIB,
        "gpu_utilization": 0.4,
        "sm_occupancy": 0.05,
        "requests": 160,
    }
    return Measured(**{**values, **changes})  # type: ignore[arg-type]


def trial(sm: int = 12, quota: int = 40, rate_rps: float = 20.0, **changes: object) -> Trial:
    """Return a trial that went well."""
    return Trial(sm, quota, 1, 10.0, measured(rate_rps, **changes))


def failed(sm: int = 12, quota: int = 40, reason: str = "out of memory") -> Trial:
    """Return a trial that failed."""
    return Trial(sm, quota, 2, 10.0, reason=reason)


@dataclass
class FakeReplica:
    """Says at once what the load would after seconds."""

    figures: Figures
    lines: Sequence[str] = ()
    counted: Sequence[Counters] = ()
    plans: list[Plan] = field(default_factory=list)

    async def load(self, plan: Plan) -> AsyncGenerator[str, None]:
        """Yield what the load program says."""
        self.plans.append(plan)
        for line in self.lines:
            yield line
        for phase in Phase:
            yield line_of(phase)
        yield line_of(self.figures)

    async def counters(self) -> Counters | None:
        """Return counters of a GPU that is busy all the time."""
        return Counters(1.0, 1.0, 0.1, GIB)


@dataclass
class FakeSite:
    """Serves a function of a known rate; `troubles` are the errors of its next starts."""

    rate: Rate = resnet
    troubles: list[str] = field(default_factory=list)
    broken: frozenset[tuple[int, int]] = frozenset()
    place: Place = field(default_factory=lambda: Place(V100, is_simulated=True))
    served: list[tuple[int, int]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def serve(self, sm_percent: int, quota_percent: int) -> AsyncIterator[FakeReplica]:
        """Yield a replica, or raise what stands next in `troubles`."""
        self.served.append((sm_percent, quota_percent))
        if self.troubles:
            raise TrialError(self.troubles.pop(0))
        if (sm_percent, quota_percent) in self.broken:
            raise TrialError("cannot be had")
        rate_rps = self.rate(sm_percent, quota_percent)
        latencies = (1000 / rate_rps, 1500 / rate_rps, 2000 / rate_rps)
        yield FakeReplica(Figures(rate_rps, 0.8 * rate_rps, 160, *latencies))


@dataclass
class Notes:
    """A watcher that remembers."""

    attempts: list[tuple[tuple[int, int], int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    results: list[Trial] = field(default_factory=list)

    def began(self, at: tuple[int, int], attempt: int) -> None:
        """Note an attempt."""
        self.attempts.append((at, attempt))

    def failed(self, at: tuple[int, int], attempt: int, reason: str) -> None:
        """Note why one failed."""
        self.failures.append(f"{at} {attempt}: {reason}")

    def done(self, result: Trial) -> None:
        """Note a result."""
        self.results.append(result)
