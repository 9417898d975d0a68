"""The values of scaling: shapes, what a replica of one is worth and costs, plans of counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gshare.errors import GshareError
from gshare.profile import Origin

START: Final = 0.1
"""By which part of its cost a replica that does not run yet counts dearer, where nobody says."""


class ScalingError(GshareError):
    """A function that cannot be planned, with what would do."""


class NoShapeError(ScalingError):
    """No shape keeps the objective; the text says which comes nearest."""


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """The sides of a replica's rectangle, in percent: SM partition and quota request."""

    sm_percent: int
    quota_percent: int

    def __post_init__(self) -> None:
        """Refuse percentages outside 1-100, with ValueError."""
        for name in ("sm_percent", "quota_percent"):
            if not 1 <= getattr(self, name) <= 100:
                raise ValueError(f"{name} {getattr(self, name)}: must be from 1 to 100")

    @property
    def area(self) -> int:
        """Return the area of the rectangle; a GPU has 10,000."""
        return self.sm_percent * self.quota_percent

    def __str__(self) -> str:
        """Return what tables and reasons call it, such as "12x40": SM by quota."""
        return f"{self.sm_percent}x{self.quota_percent}"


@dataclass(frozen=True, slots=True)
class Option:
    """What one replica of a shape serves, and what it costs.

    `cost` is in GPUs, by dominant share: the larger of its parts of a GPU's area and memory.
    """

    shape: Shape
    throughput_rps: float
    p99_ms: float
    memory_bytes: int
    cost: float
    origin: Origin = "measured"
    least: int = 0
    """So many replicas there are anyway: its HPA's minReplicas."""
    most: int | None = None
    """More replicas there never are: its HPA's maxReplicas. None: no bound."""

    def __post_init__(self) -> None:
        """Refuse a replica that serves or costs nothing, and bounds that leave no count."""
        if not self.throughput_rps > 0 or not self.cost > 0:
            raise ValueError(f"{self.shape}: throughput and cost must be above 0")
        if not 0 <= self.least <= (self.least if self.most is None else self.most):
            raise ValueError(f"{self.shape}: {self.least} to {self.most} replicas: no count")

    @property
    def room(self) -> float:
        """Return how many replicas there may be."""
        return math.inf if self.most is None else self.most

    @property
    def rpr(self) -> float:
        """Return requests per second per whole GPU's area: throughput / (SM x quota)."""
        return self.throughput_rps / self.shape.area * 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How many replicas of which shape. `counts` has no zeros; `cost` is in GPUs."""

    counts: Mapping[Shape, int]
    capacity_rps: float
    cost: float
    why: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The offered rate at one time, in seconds of any clock that only goes forward."""

    at_s: float
    rate_rps: float

    def __post_init__(self) -> None:
        """Refuse a negative rate and what is no number, with ValueError."""
        if not math.isfinite(self.at_s) or not math.isfinite(self.rate_rps) or self.rate_rps < 0:
            raise ValueError(f"rate {self.rate_rps} at {self.at_s}: must be 0 or more req/s")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a function should have now, and every number that led there.

    `wanted` has an entry for each shape that is known or running, zeros too. `forecast_rps` is
    the offered rate expected while new replicas start; `planned_rps` what was planned for (with
    headroom, and held for the scale-down window); `capacity_rps` what Ready replicas serve;
    `gap_rps` is planned minus capacity.
    """

    wanted: Mapping[Shape, int]
    rate_rps: float
    forecast_rps: float
    planned_rps: float
    capacity_rps: float
    gap_rps: float
    plan: Plan
    why: str
    held: Mapping[Shape, int] = field(default_factory=lambda: MappingProxyType({}))
    """Replicas beyond the plan, kept until those that replace them are Ready."""
