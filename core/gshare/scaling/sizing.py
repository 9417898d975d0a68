"""Sizes a replica's quota limit from the peak, where its request came from the mean.

The request is what is guaranteed and paid for; the limit is how much idle time of the GPU a
replica may borrow. A burst of seconds is over before a pod has started, so it is met by the limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gshare.profile import Profile, estimate

from .values import Plan, Shape


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


def _sized(profile: Profile, shape: Shape, over: float) -> Sizing:
    own = estimate(profile, shape.sm_percent, shape.quota_percent)
    if own is None:
        raise ValueError(f"{shape}: lies outside the profile of {profile.function}")
    part_rps = own.throughput_rps * over
    best = Sizing(shape.quota_percent, own.throughput_rps, part_rps)
    for quota in range(shape.quota_percent + 1, 101):
        if best.covers:
            break
        found = estimate(profile, shape.sm_percent, quota)
        if found is not None:
            best = Sizing(quota, found.throughput_rps, part_rps)
    return best
