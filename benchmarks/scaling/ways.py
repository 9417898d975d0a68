"""The ways to scale that are compared: what each wants at a sync, from the same offered rate.

All plan for the same headroom. `rpr` ways choose among every shape of the profile that keeps the
SLO, as the paper's does; `exact` among the two that `gshare render` gives a Deployment; an HPA has
one shape and its target is what a replica of it serves, less the headroom.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gshare import scaling
from gshare.scaling import Controller, ControllerSettings, Option, Sample, Shape

from .hpa import Hpa
from .traces import Pace

Counts = Mapping[Shape, int]
HEADROOM = ControllerSettings().headroom


@dataclass(frozen=True, slots=True)
class Seen:
    """What a way knows at a sync: the newest rate, what runs, what serves."""

    now_s: float
    sample: Sample
    running: Counts
    ready: Counts


class Way(Protocol):
    """Decides how many replicas there should be; remembers what it needs."""

    @property
    def options(self) -> Sequence[Option]:
        """The shapes it may use."""

    def observe(self, seen: Seen) -> None:
        """Look at the rate, as often as gshare's autoscaler does."""

    def wanted(self, seen: Seen) -> Counts:
        """Return the replicas of each shape to have from now on, at HPA's sync."""


@dataclass(slots=True)
class Replanned:
    """A policy asked anew at each sync, with no memory."""

    policy: str
    options: Sequence[Option]

    def observe(self, seen: Seen) -> None:
        """Remember nothing."""

    def wanted(self, seen: Seen) -> Counts:
        """Return the policy's counts for the rate now."""
        rate_rps = HEADROOM * seen.sample.rate_rps
        counts = scaling.plan(self.policy, self.options, rate_rps, seen.running).counts
        return counts or {cheapest(self.options): 1}


@dataclass(slots=True)
class Controlled:
    """The product's controller: forecast, hysteresis, make before break."""

    policy: str
    options: Sequence[Option]
    pace: Pace
    kept: Shape | None = None
    """The shape whose HPA has a minimum of one replica; None: one replica of any."""
    _controller: Controller = field(init=False)
    _answer: Counts = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with no past."""
        settings = ControllerSettings(
            policy=self.policy,
            lead_s=self.pace.lead_s,
            trend_s=self.pace.trend_s,
            scale_down_window_s=self.pace.scale_down_window_s,
        )
        self._controller = Controller(settings)

    def observe(self, seen: Seen) -> None:
        """Decide, as the autoscaler does between the syncs of HPA too."""
        samples = [seen.sample]
        decided = self._controller.decide(
            seen.now_s, samples, seen.running, seen.ready, self.options
        )
        self._answer = decided.wanted

    def wanted(self, seen: Seen) -> Counts:  # noqa: ARG002 (it was seen before)
        """Return the newest decision, with the one replica that stays at no load."""
        if self.kept is None and any(self._answer.values()):
            return self._answer
        kept = self.kept or cheapest(self.options)
        return {**self._answer, kept: max(1, self._answer.get(kept, 0))}


@dataclass(slots=True)
class OneShape:
    """A plain HPA on the offered rate, with one Deployment."""

    option: Option
    scale_down_window_s: float
    _hpa: Hpa = field(init=False)

    def __post_init__(self) -> None:
        """Start with no past."""
        target = self.option.throughput_rps / HEADROOM
        self._hpa = Hpa(target, window_down_s=self.scale_down_window_s)

    @property
    def options(self) -> Sequence[Option]:
        """Return its one shape."""
        return [self.option]

    def observe(self, seen: Seen) -> None:
        """Remember nothing: HPA looks when it syncs."""

    def wanted(self, seen: Seen) -> Counts:
        """Return what the HPA sets."""
        shape = self.option.shape
        replicas = self._hpa.replicas(seen.now_s, seen.sample.rate_rps, seen.running.get(shape, 0))
        return {shape: replicas}


Maker = Callable[[], Way]
"""Makes a way with no past."""


def cheapest(options: Sequence[Option]) -> Shape:
    """Return the shape of which one replica costs least."""
    return min(options, key=lambda option: (option.cost, option.shape)).shape
