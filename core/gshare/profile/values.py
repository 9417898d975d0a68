"""The values of a profile: points, what failed, the GPU they were measured on."""

import math
from dataclasses import dataclass
from typing import Final

from gshare.errors import InputError

from .trend import Law

LATENCY_LOAD: Final = 0.8
"""At which part of a point's throughput its latency is measured, in an open loop."""

UNEVEN: Final = 0.10
"""By how much a larger shape may seem slower than a smaller one: noise. More is refused."""


class ProfileError(InputError):
    """A profile that gshare refuses; names the file or object, the field and the value."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of a request's latency, at `LATENCY_LOAD` of the point's throughput."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    def __post_init__(self) -> None:
        """Refuse what is not above 0 and in this order, with ValueError."""
        _above_zero(p50_ms=self.p50_ms, p95_ms=self.p95_ms, p99_ms=self.p99_ms)
        if not self.p50_ms <= self.p95_ms <= self.p99_ms:
            raise ValueError("must have p50 <= p95 <= p99")


@dataclass(frozen=True, slots=True)
class Point:
    """What one replica of a function did at one shape.

    `throughput_rps` is saturated, `memory_bytes` the peak. `gpu_utilization` and `sm_occupancy`
    are 0-1, None where nobody measured them.
    """

    sm_percent: int
    quota_percent: int
    throughput_rps: float
    latency: Latency
    memory_bytes: int
    gpu_utilization: float | None = None
    sm_occupancy: float | None = None
    trials: int = 1

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, negative amounts and NaN, with ValueError."""
        check_shape(self.sm_percent, self.quota_percent)
        _above_zero(
            throughput_rps=self.throughput_rps, memory_bytes=self.memory_bytes, trials=self.trials
        )
        for name in ("gpu_utilization", "sm_occupancy"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} {value}: must be from 0 to 1")

    @property
    def key(self) -> tuple[int, int]:
        """Return the shape: SM partition and quota, in percent."""
        return (self.sm_percent, self.quota_percent)


@dataclass(frozen=True, slots=True)
class FailedPoint:
    """A shape that was tried, and why there is no point of it."""

    sm_percent: int
    quota_percent: int
    reason: str

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100 and no reason, with ValueError."""
        check_shape(self.sm_percent, self.quota_percent)
        if not self.reason:
            raise ValueError("must have a reason")


@dataclass(frozen=True, slots=True)
class ProfiledGpu:
    """The model of GPU that a profile was measured on."""

    model: str
    sm_count: int
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse a GPU without model, SMs or memory, with ValueError."""
        if not self.model or not self.model.isprintable():
            raise ValueError(f"model {self.model!r}: must be a name that prints on one line")
        _above_zero(sm_count=self.sm_count, memory_bytes=self.memory_bytes)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a function does on one model of GPU, by shape.

    `points` are in order of shape and no larger shape is much slower than a smaller one
    (`UNEVEN`). `law` says what lies between them; `slo_ms` is what the function was meant to keep.
    """

    function: str
    gpu: ProfiledGpu
    points: tuple[Point, ...]
    is_simulated: bool = False
    slo_ms: float | None = None
    failed: tuple[FailedPoint, ...] = ()
    law: Law | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a profile without points, with one twice or uneven ones, with ValueError."""
        if not self.function or not self.function.isprintable():
            raise ValueError(f"function {self.function!r}: must be a name that prints on one line")
        if not self.points:
            raise ValueError("points: must hold one point or more")
        if self.slo_ms is not None:
            _above_zero(slo_ms=self.slo_ms)
        object.__setattr__(self, "points", tuple(sorted(self.points, key=lambda each: each.key)))
        for problem in uneven(self.points):
            raise ValueError(problem)

    def at(self, sm_percent: int, quota_percent: int) -> Point | None:
        """Return the point of exactly this shape, or None."""
        wanted = (sm_percent, quota_percent)
        return next((point for point in self.points if point.key == wanted), None)


def uneven(points: tuple[Point, ...]) -> list[str]:
    """Return what is wrong between points in order of shape: one twice, a larger one slower."""
    found: list[str] = []
    for index, point in enumerate(points):
        for other in points[:index]:
            if point.key == other.key:
                found.append(f"{text_of(point)} stands there twice")
            elif is_slower(point, other):
                found.append(_slower_text(point, other))
    return found


def is_slower(larger: Point, smaller: Point) -> bool:
    """Tell whether `larger` holds all of `smaller`'s shape and serves less than noise explains."""
    holds = (
        larger.sm_percent >= smaller.sm_percent and larger.quota_percent >= smaller.quota_percent
    )
    return holds and larger.throughput_rps < (1 - UNEVEN) * smaller.throughput_rps


def text_of(point: Point) -> str:
    """Return what messages call a point."""
    return f"SM {point.sm_percent} quota {point.quota_percent}"


def _slower_text(larger: Point, smaller: Point) -> str:
    return (
        f"{text_of(larger)} has {larger.throughput_rps:g} req/s, less than the "
        f"{smaller.throughput_rps:g} of the smaller {text_of(smaller)}: measure both again"
    )


def check_shape(sm_percent: int, quota_percent: int) -> None:
    """Raise ValueError where one side of a shape is not from 1 to 100."""
    for name, value in (("sm", sm_percent), ("quota", quota_percent)):
        if not 1 <= value <= 100:
            raise ValueError(f"{name} {value}: must be from 1 to 100")


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value) or value <= 0:
            raise ValueError(f"{name} {value}: must be above 0")
