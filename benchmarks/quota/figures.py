"""From readings of a simulated GPU to the figures that are judged. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gshare_simgpu import GpuCounters

from .cases import Client


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


def lease_figures(
    client: Client, sms: int, promised: float, readings: Sequence[GpuCounters]
) -> LeaseFigures:
    """Return what a lease got between the first reading and the last."""
    steps = [_percent(client, sms, *pair) for pair in pairwise(readings)]
    first, last = readings[0], readings[-1]
    launches = last.account(client.name).launches - first.account(client.name).launches
    return LeaseFigures(
        client,
        promised=promised,
        delivered=_percent(client, sms, first, last),
        stdev_points=statistics.pstdev(steps),
        launches_per_s=launches / (last.now_ns - first.now_ns) * 1e9,
    )


def case_figures(
    leases: Sequence[LeaseFigures], readings: Sequence[GpuCounters]
) -> dict[str, float]:
    """Return the figures of a run by the names that bars have."""
    first, last = readings[0], readings[-1]
    whole_ns = last.now_ns - first.now_ns
    shares = [
        100 * lease.delivered / lease.client.quota_percent
        for lease in leases
        if lease.client.is_saturated
    ]
    figures = {
        "error_points": max(abs(lease.error_points) for lease in leases),
        "stdev_points": max(lease.stdev_points for lease in leases),
        "over_limit_points": max(lease.delivered - lease.client.limit for lease in leases),
        "overcommitted_percent": 100 * (last.overcommitted_ns - first.overcommitted_ns) / whole_ns,
        "idle_percent": 100 - 100 * (last.kernel_ns - first.kernel_ns) / whole_ns,
    }
    if shares:
        figures |= {"least_percent": min(shares), "mean_percent": statistics.mean(shares)}
    return figures


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
