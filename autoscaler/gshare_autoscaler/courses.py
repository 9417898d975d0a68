"""What is known of each function from round to round: its rates, its last decision, its trouble.

All of it can be lost. A controller begins with the rates that Prometheus still has of the
scale-down window, so that a new process decides as the old one did. Where Prometheus has less, the
controller lets nothing shrink until it has seen the window.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Final

from gshare.scaling import Controller, ControllerSettings, Decision, Sample

from . import runs
from .answers import NOT_YET
from .conditions import Reason, Trouble, TroubleError
from .floors import kept_awake
from .functions import Function, Scaling
from .prometheus import Prometheus
from .queries import Query
from .runs import Pace, Run

_MOST_STEPS: Final = 1000
"""Of a range query; Prometheus refuses more than 11,000."""
_STEP_BACK_S: Final = 5.0
"""A clock of Prometheus that goes back by more is another one: what came by the last is void."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A function as of the last round, for whoever asks; `decision` is the last there was."""

    function: Function
    decision: Decision | None = None
    decided_at_s: float = 0.0
    """In seconds of the epoch, by the clock of Prometheus; 0 where nothing was decided yet."""
    trouble: Trouble | None = NOT_YET
    """Why the last round decided nothing; None where it did."""


@dataclass(slots=True)
class Course:
    """One function's way through the rounds. One thread at a time."""

    settings: ControllerSettings
    interval_s: float
    standing: Standing
    tried_at_s: float = 0.0
    """When its rate was asked for last, by the monotonic clock."""
    _controller: Controller = field(init=False)
    _of: tuple[str, ControllerSettings] | None = None
    """The query and the settings that the controller's rates are of."""
    _past: list[Sample] = field(default_factory=list)
    """Rates of a range query that the controller was not given yet."""
    _run: Run = field(default_factory=lambda: Run.before(0.0))

    def __post_init__(self) -> None:
        """Begin without rates."""
        self._controller = Controller(self.settings)

    @property
    def is_slow(self) -> bool:
        """Tell whether its query timed out in the last round."""
        trouble = self.standing.trouble
        return trouble is not None and trouble.reason is Reason.QUERY_TIMED_OUT

    def decide(self, function: Function, scaling: Scaling, prometheus: Prometheus) -> Standing:
        """Ask for the rate and decide; TroubleError or ScalingError where that cannot be."""
        self.tried_at_s = time.monotonic()
        running = function.counts(lambda member: member.running)
        ready = function.counts(lambda member: member.ready)
        is_running = any(running.values())
        latest, is_assumed = _latest(scaling, prometheus, is_running=is_running)
        is_new = self._begin(latest, scaling, prometheus)
        pace = Pace(scaling.query.window_s, self.interval_s)
        if is_assumed:
            self._run = Run(latest.at_s, latest.at_s)
        elif is_new or self._has_missed:
            self._run = self._run.then(latest.at_s, pace)
        else:
            self._run = self._run.on(latest.at_s)
        if is_running:
            _check_whole(self._run, pace, scaling.query)
        decision = self._controller.decide(
            latest.at_s, [*self._past, latest], running, ready, scaling.options
        )
        self._past = []
        return Standing(function, kept_awake(decision, scaling, running), latest.at_s, None)

    @property
    def _has_missed(self) -> bool:
        """Tell whether the last round asked in vain, or could not ask."""
        trouble = self.standing.trouble
        return trouble is not None and trouble.reason is not Reason.WINDOW_NOT_FULL

    def _begin(self, latest: Sample, scaling: Scaling, prometheus: Prometheus) -> bool:
        """Begin anew, with the past that Prometheus has, where query or settings are others."""
        settings = replace(
            self.settings,
            policy=scaling.policy,
            scale_down_window_s=scaling.scale_down_window_s,
        )
        of = scaling.query.promql, settings
        if self._of == of and latest.at_s >= self.standing.decided_at_s - _STEP_BACK_S:
            return False
        length_s = settings.scale_down_window_s + settings.trend_s + scaling.query.window_s
        step_s = max(self.interval_s, length_s / _MOST_STEPS)
        found = prometheus.history(scaling.query, length_s, step_s)
        pace = Pace(scaling.query.window_s, step_s)
        self._run, self._past = runs.after(Run.before(latest.at_s - length_s), found, pace)
        self._controller = Controller(settings)
        self._of = of
        return True


def _latest(scaling: Scaling, prometheus: Prometheus, *, is_running: bool) -> tuple[Sample, bool]:
    """Return the rate now, and whether it is assumed: none where nothing runs that could count."""
    try:
        return prometheus.ask(scaling.query), False
    except TroubleError as error:
        if error.trouble.reason is Reason.NO_DATA and scaling.query.is_in_pods and not is_running:
            return prometheus.nothing(), True
        raise


def _check_whole(run: Run, pace: Pace, query: Query) -> None:
    if run.lacks_s(pace):
        raise TroubleError(
            Reason.WINDOW_NOT_FULL,
            f"{query.origin}: data have come, or come again, for less than the {pace.window_s:g} s "
            "over which the query averages",
        )
