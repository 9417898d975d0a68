"""A profile made of trials, its ConfigMap, and how it compares with another. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from gshare import profile as profiles
from gshare import rendering
from gshare.errors import GshareError
from gshare.profile import (
    FailedPoint,
    Latency,
    Point,
    Profile,
    ProfiledGpu,
    estimate,
)

from .journal import Trial
from .trial import Measured


@dataclass(frozen=True, slots=True)
class Subject:
    """What was profiled."""

    function: str
    gpu: ProfiledGpu
    is_simulated: bool
    slo_ms: float | None = None
    note: str = ""


def profile_of(subject: Subject, trials: Sequence[Trial]) -> Profile:
    """Return the profile of `trials`; GshareError where they make none, saying why."""
    points = tuple(_point(at, found) for at, found in _good_by_shape(trials).items())
    known = {point.key for point in points}
    failed = tuple(
        FailedPoint(each.sm, each.quota, each.reason)
        for each in trials
        if each.measured is None and (each.sm, each.quota) not in known
    )
    if not points:
        raise GshareError(f"{subject.function}: no trial gave figures")
    law = profiles.law_of(
        {point.key: point.throughput_rps for point in points},
        {point.key: point.latency.p99_ms for point in points},
    )
    try:
        return Profile(
            subject.function,
            subject.gpu,
            points,
            subject.is_simulated,
            subject.slo_ms,
            failed,
            law,
            subject.note,
        )
    except ValueError as error:
        raise GshareError(f"{subject.function}: the trials make no profile: {error}") from error


def _good_by_shape(trials: Sequence[Trial]) -> dict[tuple[int, int], list[Measured]]:
    """Return what was measured at each shape, once or several times."""
    found: dict[tuple[int, int], list[Measured]] = {}
    for each in trials:
        if each.measured is not None:
            found.setdefault((each.sm, each.quota), []).append(each.measured)
    return found


def _point(at: tuple[int, int], found: Sequence[Measured]) -> Point:
    """Return the point of a shape: its fastest trials, since what disturbs only makes slower."""
    best = max(found, key=lambda measured: measured.throughput_rps)
    quickest = min(found, key=lambda measured: measured.p99_ms)
    latencies = (quickest.p50_ms, quickest.p95_ms, quickest.p99_ms)
    return Point(
        *at,
        throughput_rps=round(best.throughput_rps, 3),
        latency=Latency(*(round(each, 3) for each in latencies)),
        memory_bytes=max(measured.memory_bytes for measured in found),
        gpu_utilization=_rounded(best.gpu_utilization),
        sm_occupancy=_rounded(best.sm_occupancy),
        trials=len(found),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def config_map(profile: Profile, namespace: str | None) -> str:
    """Return the ConfigMap that the autoscaler reads, as YAML."""
    return rendering.write([rendering.config_map(profile, namespace or "")])


@dataclass(frozen=True, slots=True)
class Difference:
    """One shape in two profiles: requests per second here and there."""

    sm: int
    quota: int
    here_rps: float
    there_rps: float
    is_measured: bool
    """Here; the law says it otherwise."""

    @property
    def relative(self) -> float:
        """Return how much more is here, 0.05 being 5 %."""
        return self.here_rps / self.there_rps - 1


def differences(profile: Profile, other: Profile) -> list[Difference]:
    """Return how `profile`, measured or by its law, differs at each point of `other`."""
    found = []
    for point in other.points:
        told = estimate(profile, *point.key)
        if told is not None:
            is_measured = told.origin == "measured"
            found.append(
                Difference(*point.key, told.throughput_rps, point.throughput_rps, is_measured)
            )
    return found
