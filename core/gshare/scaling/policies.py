"""The scaling policies there are, by name, and how a plan is made with one."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from . import rpr
from .values import START, Option, Plan, ScalingError, Shape

EXACT: Final = "exact"
RPR: Final = "rpr"

Policy = Callable[[Sequence[Option], float, Mapping[Shape, int], float], Counter[Shape]]
"""Counts for a rate, given what runs and how much dearer a replica counts that has to start."""


def _exact(
    options: Sequence[Option], rate_rps: float, running: Mapping[Shape, int], start: float
) -> Counter[Shape]:
    """Import the search when it is first asked: it brings numpy, which few commands need."""
    from . import exact  # noqa: PLC0415 (see above)

    return exact.counts(options, rate_rps, running, start)


POLICIES: Final[Mapping[str, Policy]] = MappingProxyType({EXACT: _exact, RPR: rpr.counts})
"""Every policy there is, by the name that `--policy` and the annotation give."""


def plan(
    policy: str,
    options: Sequence[Option],
    rate_rps: float,
    running: Mapping[Shape, int] | None = None,
    *,
    start: float = START,
) -> Plan:
    """Return how many replicas of which shape serve `rate_rps`, given those that run.

    A replica that does not run yet counts dearer by the part `start` of its cost. Shapes that run
    but are not among `options` are not counted and not wanted. ScalingError for an unknown policy,
    a rate that is no rate, and a rate with no options.
    """
    if policy not in POLICIES:
        raise ScalingError(f"policy {policy!r}: must be one of {', '.join(POLICIES)}")
    if not math.isfinite(rate_rps) or rate_rps < 0:
        raise ScalingError(f"rate {rate_rps}: must be 0 or more requests per second")
    if not options and rate_rps:
        raise ScalingError(f"rate {rate_rps:g}: there is no shape to serve it with")
    return plan_of(POLICIES[policy](options, rate_rps, running or {}, start), options, rate_rps)


def plan_of(counts: Mapping[Shape, int], options: Sequence[Option], rate_rps: float) -> Plan:
    """Return the plan with these counts, and what it is for."""
    used = [(option, counts[option.shape]) for option in options if counts.get(option.shape)]
    capacity_rps = math.fsum(option.throughput_rps * count for option, count in used)
    cost = math.fsum(option.cost * count for option, count in used)
    mix = " + ".join(f"{count} of {option.shape}" for option, count in used) or "nothing"
    why = f"{mix} serves {capacity_rps:.1f} req/s, {rate_rps:.1f} are needed; {cost:.3f} GPUs"
    return Plan(MappingProxyType(dict(counts)), capacity_rps, cost, why)
