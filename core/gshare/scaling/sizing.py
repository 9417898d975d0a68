"""Sizes a replica's quota request from the mean rate and its quota limit from the peak.

The request is what is guaranteed and paid for: as much as the replica's part of the mean takes.
The limit is how much idle time of the GPU a replica may borrow: a burst of seconds is over before
a pod has started, so it is met by the limit. Rates are split as the replicas' throughputs are.

Worked example: at 12 % of the SMs a replica serves 46 req/s with a quota of 60, 59 with 80 and
68.5 with 100. One of 12x80 needs a request of 67 for a mean of 50, a limit of 93 for a peak of 65.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gshare.profile import Estimate, Profile, estimate

from .values import Plan, ScalingError, Shape


@dataclass(frozen=True, slots=True)
class Sizing:
    """A shape's quota limit in percent, what it serves at that limit, and its part of the peak."""

    quota_limit_percent: int
    throughput_rps: float
    peak_rps: float

    @property
    def covers(self) -> bool:
        """Tell whether a replica that borrows up to its limit serves its part of the peak."""
        return self.throughput_rps >= self.peak_rps * (1 - 1e-9)


def limits(profile: Profile, plan: Plan, peak_rps: float) -> Mapping[Shape, Sizing]:
    """Return for each shape of `plan` the smallest quota limit at which it serves its part.

    The peak is split as the throughputs are. A limit of 100 may not cover it: see `covers`.
    """
    return {shape: _sized(profile, shape, peak_rps / plan.capacity_rps) for shape in plan.counts}


def requests(
    profile: Profile, plan: Plan, mean_rps: float, slo_ms: float | None = None
) -> Mapping[Shape, int]:
    """Return for each shape of `plan` the smallest quota request that serves its part of the mean.

    In percent, at most the shape's own, which already keeps `slo_ms` and serves the rate of the
    plan; so smaller than it only where the plan serves more than the mean.
    """
    over = mean_rps / plan.capacity_rps if plan.capacity_rps else 0.0
    return {shape: _least_request(profile, shape, over, slo_ms) for shape in plan.counts}


def _least_request(profile: Profile, shape: Shape, over: float, slo_ms: float | None) -> int:
    part_rps = _own(profile, shape).throughput_rps * over
    quota = shape.quota_percent
    while quota > 1:
        found = estimate(profile, shape.sm_percent, quota - 1)
        if found is None or found.throughput_rps < part_rps:
            break
        if slo_ms is not None and found.p99_ms > slo_ms:
            break
        quota -= 1
    return quota


def _sized(profile: Profile, shape: Shape, over: float) -> Sizing:
    own = _own(profile, shape)
    part_rps = own.throughput_rps * over
    best = Sizing(shape.quota_percent, own.throughput_rps, part_rps)
    for quota in range(shape.quota_percent + 1, 101):
        if best.covers:
            break
        found = estimate(profile, shape.sm_percent, quota)
        if found is not None:
            best = Sizing(quota, found.throughput_rps, part_rps)
    return best


def _own(profile: Profile, shape: Shape) -> Estimate:
    own = estimate(profile, shape.sm_percent, shape.quota_percent)
    if own is None:
        raise ScalingError(f"{shape}: lies outside the profile of {profile.function}")
    return own
