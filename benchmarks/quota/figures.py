"""From readings of a simulated GPU to the figures that are judged. Pure."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from gshare_simgpu import GpuCounters

from .cases import Client

_AS_ONE: Mapping[str, Callable[[Sequence[float]], float]] = MappingProxyType(
    {"least_percent": min, "mean_percent": statistics.mean}
)
"""How a figure of the leases becomes the case's; by default it is the largest."""


@dataclass(frozen=True, slots=True)
class LeaseFigures:
    """What one lease got, in percent of the time of its SMs."""

    client: Client
    promised: float
    delivered: float
    stdev_points: float
    launches_per_s: float

    @property
    def error_points(self) -> float:
        """Return delivered minus promised."""
        return self.delivered - self.promised

    def figures(self) -> dict[str, float]:
        """Return what the lease's bars are held against."""
        found = {
            "error_points": abs(self.error_points),
            "stdev_points": self.stdev_points,
        }
        if self.client.limit < 100:
            found["over_limit_points"] = self.delivered - self.client.limit
        if self.client.is_saturated:
            share = 100 * self.delivered / self.promised
            found |= {"least_percent": share, "mean_percent": share}
        return found


def lease_figures(client: Client, sms: int, readings: Sequence[GpuCounters]) -> LeaseFigures:
    """Return what a lease got between the first reading and the last; promised is its quota."""
    steps = [_percent(client, sms, *pair) for pair in pairwise(readings)]
    first, last = readings[0], readings[-1]
    launches = last.account(client.name).launches - first.account(client.name).launches
    return LeaseFigures(
        client,
        promised=client.quota_percent,
        delivered=_percent(client, sms, first, last),
        stdev_points=statistics.pstdev(steps),
        launches_per_s=launches / (last.now_ns - first.now_ns) * 1e9,
    )


def case_figures(
    leases: Sequence[LeaseFigures], readings: Sequence[GpuCounters]
) -> dict[str, float]:
    """Return the figures of a run by the names that bars have: the worst lease's, and the GPU's."""
    first, last = readings[0], readings[-1]
    whole_ns = last.now_ns - first.now_ns
    by_lease = [lease.figures() for lease in leases]
    found = {
        name: _AS_ONE.get(name, max)([each[name] for each in by_lease if name in each])
        for name in dict.fromkeys(name for each in by_lease for name in each)
    }
    return {
        **found,
        "overcommitted_percent": 100 * (last.overcommitted_ns - first.overcommitted_ns) / whole_ns,
        "idle_percent": 100 - 100 * (last.kernel_ns - first.kernel_ns) / whole_ns,
    }


def wait_figures(said: str) -> dict[str, float]:
    """Return the waits of a light client, from the lines that it printed."""
    pairs = [line.split() for line in said.splitlines() if line.count(" ") == 1]
    waits = sorted(int(wait) / 1e6 for wait, _ in pairs)
    requests = sorted(int(whole) / 1e6 for _, whole in pairs)
    if not waits:
        return {}
    return {
        "requests": len(waits),
        "wait_p50_ms": percentile(waits, 50),
        "wait_p99_ms": percentile(waits, 99),
        "wait_max_ms": waits[-1],
        "request_p50_ms": percentile(requests, 50),
        "request_p99_ms": percentile(requests, 99),
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the least value that `percent` of the ordered values do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs of a case."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _percent(client: Client, sms: int, before: GpuCounters, after: GpuCounters) -> float:
    got = after.account(client.name).sm_time_ns - before.account(client.name).sm_time_ns
    return 100 * got / (sms * (after.now_ns - before.now_ns))
