"""Says what a function does at any shape: as measured, between four points, or by the law.

In this order: a point of exactly this shape; the cell of measured points around it, in which
throughput is linear in both sides and p99 and memory are the worst of the corners; the law, and
what the points nearby differ from it by (`surface`). Nothing else is guessed: outside the points
and without a law there is no estimate.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .values import Point, Profile, check_shape

if TYPE_CHECKING:
    from .surface import Surface

Origin = Literal["measured", "interpolated", "law"]
"""Where an estimate comes from."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one replica does at one shape, and where that is from."""

    throughput_rps: float
    p99_ms: float
    memory_bytes: int
    origin: Origin
    error: float = 0.0
    """Of an estimate by the law: the relative standard error of its throughput."""


def estimate(profile: Profile, sm_percent: int, quota_percent: int) -> Estimate | None:
    """Return what one replica does at this shape, or None where the profile cannot tell.

    ValueError for a side outside 1-100.
    """
    check_shape(sm_percent, quota_percent)
    point = profile.at(sm_percent, quota_percent)
    if point is not None:
        return Estimate(point.throughput_rps, point.latency.p99_ms, point.memory_bytes, "measured")
    return _interpolated(profile, sm_percent, quota_percent) or _by_law(
        profile, sm_percent, quota_percent
    )


def _interpolated(profile: Profile, sm_percent: int, quota_percent: int) -> Estimate | None:
    sms = _around({point.sm_percent for point in profile.points}, sm_percent)
    quotas = _around({point.quota_percent for point in profile.points}, quota_percent)
    if sms is None or quotas is None:
        return None
    corners = [profile.at(sm, quota) for sm in sms for quota in quotas]
    known = [corner for corner in corners if corner is not None]
    if len(known) < len(corners):
        return None
    at_left, at_right = (
        _between(quota_percent, quotas, [corner.throughput_rps for corner in side])
        for side in (known[:2], known[2:])
    )
    return Estimate(
        _between(sm_percent, sms, [at_left, at_right]),
        max(corner.latency.p99_ms for corner in known),
        max(corner.memory_bytes for corner in known),
        "interpolated",
    )


def _by_law(profile: Profile, sm_percent: int, quota_percent: int) -> Estimate | None:
    if profile.law is None:
        return None
    (throughput,), (p99,) = (
        surface.at([(sm_percent, quota_percent)]) for surface in _surfaces(profile)
    )
    memory_bytes = most_memory(profile.points)
    return Estimate(throughput.value, 1000 / p99.value, memory_bytes, "law", throughput.error)


@functools.lru_cache(maxsize=64)
def _surfaces(profile: Profile) -> "tuple[Surface, Surface]":
    """Return a profile's throughput and the reciprocal of its p99; kept, as fitting takes 10 ms."""
    from .surface import Surface  # noqa: PLC0415 (it needs numpy)

    throughput = {point.key: point.throughput_rps for point in profile.points}
    p99 = {point.key: 1000 / point.latency.p99_ms for point in profile.points}
    law = profile.law
    return (
        Surface.fit(throughput, law.throughput if law else None),
        Surface.fit(p99, law.p99 if law else None),
    )


def most_memory(points: Iterable[Point]) -> int:
    """Return the most memory of any point: a function needs about as much at every shape."""
    return max(point.memory_bytes for point in points)


def _around(known: set[int], value: int) -> tuple[int, int] | None:
    """Return the nearest two of `known` that enclose `value`, or None."""
    below = max((each for each in known if each <= value), default=None)
    above = min((each for each in known if each >= value), default=None)
    return None if below is None or above is None else (below, above)


def _between(value: int, ends: tuple[int, int], at_ends: list[float]) -> float:
    if ends[0] == ends[1]:
        return at_ends[0]
    part = (value - ends[0]) / (ends[1] - ends[0])
    return at_ends[0] * (1 - part) + at_ends[1] * part
