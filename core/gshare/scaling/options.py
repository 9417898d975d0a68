"""Turns a profile into what a planner may choose from: shapes that keep the objective, priced.

The price of a replica is its dominant share: the larger of its part of a GPU's area and its part
of the GPU's memory. By area alone the thinnest slices look best and the memory of many small
replicas is forgotten (49-59 % dearer on GPUs of 16 GiB).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gshare.profile import Estimate, Profile, estimate

from .values import NoShapeError, Option, Shape


@dataclass(frozen=True, slots=True)
class Judgement:
    """The shapes that a function may use, and why each other one may not."""

    options: tuple[Option, ...]
    refused: Mapping[Shape, str] = field(default_factory=dict)


def options(
    profile: Profile, shapes: Iterable[Shape] | None = None, slo_ms: float | None = None
) -> list[Option]:
    """Return an option for each of `shapes` whose p99 keeps `slo_ms`; NoShapeError if none does.

    `shapes` None means those of the profile's points; `slo_ms` None means no objective.
    """
    judged = judge(profile, shapes, slo_ms)
    if not judged.options:
        raise NoShapeError(_nearest_text(profile, judged, slo_ms))
    return list(judged.options)


def judge(
    profile: Profile,
    shapes: Iterable[Shape] | None = None,
    slo_ms: float | None = None,
    reserved: Mapping[Shape, int] | None = None,
) -> Judgement:
    """Return the options among `shapes`, in order of shape, and why the others are none.

    `reserved` has the bytes of GPU memory that a shape's Deployment asks, where it says; they
    are priced in place of the measured peak.
    """
    chosen: list[Option] = []
    refused: dict[Shape, str] = {}
    for shape in sorted(set(shapes_of(profile) if shapes is None else shapes)):
        found = estimate(profile, shape.sm_percent, shape.quota_percent)
        if found is None:
            refused[shape] = f"lies outside the points of the profile ({_range_text(profile)})"
        elif slo_ms is not None and found.p99_ms > slo_ms:
            refused[shape] = f"has a p99 of {found.p99_ms:.1f} ms, over the SLO of {slo_ms:g} ms"
        else:
            chosen.append(_option(profile, shape, found, (reserved or {}).get(shape)))
    return Judgement(tuple(chosen), refused)


def shapes_of(profile: Profile) -> list[Shape]:
    """Return the shapes of the profile's points."""
    return [Shape(*point.key) for point in profile.points]


def _option(profile: Profile, shape: Shape, found: Estimate, reserved: int | None) -> Option:
    memory = reserved or found.memory_bytes
    return Option(
        shape,
        found.throughput_rps,
        found.p99_ms,
        memory,
        max(shape.area / 10_000, memory / profile.gpu.memory_bytes),
        found.origin,
    )


def _range_text(profile: Profile) -> str:
    sms = [point.sm_percent for point in profile.points]
    quotas = [point.quota_percent for point in profile.points]
    return f"SM {min(sms)}-{max(sms)}, quota {min(quotas)}-{max(quotas)}"


def _nearest_text(profile: Profile, judged: Judgement, slo_ms: float | None) -> str:
    known = [
        (found.p99_ms, shape)
        for shape in judged.refused
        if (found := estimate(profile, shape.sm_percent, shape.quota_percent))
    ]
    if not known or slo_ms is None:
        return f"{profile.function}: no shape lies within its profile: {_range_text(profile)}"
    p99_ms, nearest = min(known)
    return (
        f"{profile.function}: no shape keeps the SLO of {slo_ms:g} ms: the nearest is {nearest} "
        f"(SM x quota) with a p99 of {p99_ms:.1f} ms"
    )
