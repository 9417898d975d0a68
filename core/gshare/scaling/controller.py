"""Decides, for one function, how many replicas of each shape it should have now.

Rates and states in, a decision out; no clock, no I/O. Asked once every sync. In this order:

1. Demand. The offered rate, forecast for the time a pod takes to start, held for the scale-down
   window (`demand`), times the headroom.
2. Plan. The policy's counts for that demand, given what runs; replicas that run are swapped for
   cheaper ones once that pays for the starts (`swaps`).
3. Make before break. Replicas beyond the plan stay while the Ready ones of the plan do not serve
   the demand; only Ready replicas count. As many stay as are needed, those that serve most first,
   and all of a shape of which nobody knows what it serves.
4. No guess. While the rate is not known for the whole window (after a start, or after Prometheus
   was away), nothing shrinks.

Nothing here has to survive a restart: what runs comes from the cluster, the past from a range
query or, where there is none, from rule 4.

Invariant. Where the Ready replicas serve the demand before a decision, those it leaves do so too.

Worked example. Three replicas A of 35 req/s are Ready, the demand is 100 and two of B (50) are much
cheaper: wanted are B 2 and, until those are Ready, A 3. Once one B is Ready, A 2; with both, A 0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .demand import Demand, Outlook
from .policies import EXACT
from .swaps import Swaps
from .values import Decision, Option, Plan, Sample, ScalingError, Shape

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How eager a controller is."""

    policy: str = EXACT
    headroom: float = 1.25
    """Planned rate over the forecast, 1 or more. 1.25: replicas run at 80 % of their throughput,
    the load at which the profile's p99 was measured."""
    lead_s: float = 30.0
    """How far ahead the rate is forecast: the start of a pod, and half of the time over which the
    query averages, since an average is that late."""
    trend_s: float = 60.0
    """Over how much of the past the trend is taken."""
    scale_down_window_s: float = 300.0
    """For how long a rate that was there once still counts: HPA's own default."""

    def __post_init__(self) -> None:
        """Refuse a headroom below 1 and negative times, with ValueError."""
        if not 1 <= self.headroom < math.inf:
            raise ValueError(f"headroom {self.headroom}: must be 1 or more")
        for name in ("lead_s", "trend_s", "scale_down_window_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)}: must be 0 or more")


@dataclass(frozen=True, slots=True)
class _Scene:
    """One question: what runs, what serves, what there is to choose from."""

    running: Mapping[Shape, int]
    ready: Mapping[Shape, int]
    options: Sequence[Option]

    @property
    def serving(self) -> Mapping[Shape, float]:
        """Return what a replica of each shape serves, in req/s."""
        return {option.shape: option.throughput_rps for option in self.options}

    @property
    def shapes(self) -> list[Shape]:
        """Return every shape that is known or runs."""
        return sorted({*self.serving, *self.running, *self.ready})

    def capacity_rps(self, most: Mapping[Shape, int] | None = None) -> float:
        """Return what Ready replicas serve, of each shape at most `most`."""
        return sum(
            served
            * min(self.ready.get(shape, 0), most.get(shape, 0) if most is not None else 2**31)
            for shape, served in self.serving.items()
        )


@dataclass(slots=True)
class Controller:
    """Remembers one function's offered rates for as long as its scale-down window."""

    settings: ControllerSettings = field(default_factory=ControllerSettings)
    _demand: Demand = field(init=False)
    _swaps: Swaps = field(init=False)

    def __post_init__(self) -> None:
        """Start with no past."""
        settings = self.settings
        self._swaps = Swaps(settings.lead_s + settings.scale_down_window_s)
        self._demand = Demand(settings.lead_s, settings.trend_s, settings.scale_down_window_s)

    def decide(
        self,
        now_s: float,
        rates: Sequence[Sample],
        running: Mapping[Shape, int],
        ready: Mapping[Shape, int],
        options: Sequence[Option],
    ) -> Decision:
        """Return what the function should have at `now_s`.

        `rates` are samples of the offered rate in any order; known ones may come again, so a range
        query over the window brings back the past after a restart. `running` has the replicas of
        each Deployment as it is scaled now, by shape, `ready` those that serve. ScalingError if no
        sample was given lately, or there is a rate and no option.
        """
        outlook = self._demand.add(now_s, rates)
        if outlook is None:
            raise ScalingError("the offered rate was never told")
        planned_rps = self.settings.headroom * outlook.held_rps
        scene = _Scene(running, ready, options)
        found = self._swaps.plan(now_s, self.settings.policy, options, planned_rps, running)
        held = _held(scene, found, planned_rps)
        kept = {} if outlook.is_known else _kept(scene, found, held)
        capacity_rps = scene.capacity_rps()
        return Decision(
            _sum(scene.shapes, found.counts, held, kept),
            outlook.rate_rps,
            outlook.forecast_rps,
            planned_rps,
            capacity_rps,
            planned_rps - capacity_rps,
            found,
            _why(self.settings, outlook, found, held, kept),
            MappingProxyType(held),
        )


def _sum(shapes: Iterable[Shape], *counts: Mapping[Shape, int]) -> Mapping[Shape, int]:
    return MappingProxyType({each: sum(some.get(each, 0) for some in counts) for each in shapes})


def _why(
    settings: ControllerSettings,
    outlook: Outlook,
    found: Plan,
    held: Mapping[Shape, int],
    kept: Mapping[Shape, int],
) -> str:
    """Return a decision's reasons in words."""
    demand = f"{outlook.rate_rps:.1f} req/s offered, {outlook.forecast_rps:.1f} forecast"
    if outlook.held_rps > outlook.forecast_rps:
        demand += f", held at {outlook.held_rps:.1f} of the last {settings.scale_down_window_s:g} s"
    parts = [f"{demand}, times {settings.headroom:g}", found.why]
    if held:
        parts.append(f"{_mix_text(held)} stay until what replaces them is Ready")
    if kept:
        known = f"{outlook.known_s:.0f} of the last {settings.scale_down_window_s:g} s"
        parts.append(f"{_mix_text(kept)} stay since the rate is known for {known} only")
    return "; ".join(parts)


def _held(scene: _Scene, found: Plan, planned_rps: float) -> dict[Shape, int]:
    """Return the Ready replicas beyond the plan that stay until the plan's own are Ready."""
    missing_rps = planned_rps - scene.capacity_rps(found.counts)
    serving = scene.serving
    held: dict[Shape, int] = {}
    for shape in sorted(scene.shapes, key=lambda each: (-serving.get(each, 0.0), each)):
        beyond = scene.ready.get(shape, 0) - found.counts.get(shape, 0)
        while beyond > held.get(shape, 0) and missing_rps > _EPSILON:
            held[shape] = held.get(shape, 0) + 1
            missing_rps -= serving.get(shape, 0.0)
    return held


def _kept(scene: _Scene, found: Plan, held: Mapping[Shape, int]) -> dict[Shape, int]:
    """Return the replicas that run beyond plan and held ones."""
    beyond = {
        shape: count - found.counts.get(shape, 0) - held.get(shape, 0)
        for shape, count in scene.running.items()
    }
    return {shape: count for shape, count in beyond.items() if count > 0}


def _mix_text(counts: Mapping[Shape, int]) -> str:
    return " + ".join(f"{count} of {shape}" for shape, count in sorted(counts.items()))
