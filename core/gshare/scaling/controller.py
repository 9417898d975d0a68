"""Decides, for one function, how many replicas of each shape it should have now.

Rates and states in, a decision out; no clock, no I/O. Asked once every sync.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .policies import EXACT, plan
from .values import Decision, Option, Sample, Shape


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How eager a controller is."""

    policy: str = EXACT
    headroom: float = 1.25
    """Planned rate over the forecast. 1.25: replicas run at 80 % of their throughput, the load
    at which the profile's p99 was measured."""
    lead_s: float = 15.0
    """How far ahead the rate is forecast: about the start of a pod."""
    trend_s: float = 60.0
    """Over how much of the past the trend is taken."""
    scale_down_window_s: float = 300.0
    """For how long a rate that was there once still counts: HPA's own default."""


@dataclass(slots=True)
class Controller:
    """Remembers one function's offered rates for as long as its scale-down window."""

    settings: ControllerSettings = field(default_factory=ControllerSettings)
    _samples: list[Sample] = field(default_factory=list)

    def decide(
        self,
        now_s: float,
        rates: Sequence[Sample],
        running: Mapping[Shape, int],
        ready: Mapping[Shape, int],
        options: Sequence[Option],
    ) -> Decision:
        """Return what the function should have at `now_s`.

        `rates` are new samples of the offered rate, in order; known ones may come again (so a
        range query after a restart brings back the past). `running` has the replicas of each
        Deployment as it is scaled now, by shape, `ready` those that serve. ScalingError if no
        sample was ever given, or there is a rate and no option.
        """
        self._samples = [*self._samples, *rates]
        rate_rps = self._samples[-1].rate_rps
        planned_rps = rate_rps * self.settings.headroom
        found = plan(self.settings.policy, options, planned_rps, running)
        served = {option.shape: option.throughput_rps for option in options}
        capacity_rps = sum(served.get(shape, 0.0) * count for shape, count in ready.items())
        wanted = {shape: found.counts.get(shape, 0) for shape in {*served, *running}}
        gap_rps = planned_rps - capacity_rps
        return Decision(
            wanted, rate_rps, rate_rps, planned_rps, capacity_rps, gap_rps, found, found.why
        )
