"""Decides again and again: reads what there is, asks for rates, decides, publishes.

A round is one look at all functions, each published as soon as it is decided. What goes wrong with
one of them becomes its trouble and touches no other: those whose query timed out come last, and
few of them in one round. Where Prometheus refuses connections, or answers none of several queries,
the rest of the round is spared the wait. Killed at any line, a round is made anew by the next
process (`courses` says from what).
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType

from gshare.scaling import ScalingError

from . import functions
from .answers import Answers, Target
from .bounds import Bounds
from .bounds import of as bounds_of
from .conditions import Reason, Trouble, TroubleError
from .courses import Course, Standing
from .functions import Defaults, Function, Scaling
from .metrics import Counts
from .objects import Deployment
from .profiles import Name, Profiles
from .prometheus import Prometheus
from .settings import AutoscalerSettings
from .telling import Teller
from .watching import Watches

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Round:
    """What queries of one round found out about Prometheus. Threads may write at once."""

    most_timeouts: int
    away: Trouble | None = None
    timeouts: int = 0
    has_answered: bool = False

    def note(self, trouble: Trouble | None) -> None:
        """Take note of how a query went; None where it was answered."""
        if trouble is None or trouble.reason not in {
            Reason.PROMETHEUS_AWAY,
            Reason.QUERY_TIMED_OUT,
        }:
            self.has_answered = True
        elif trouble.reason is Reason.PROMETHEUS_AWAY:
            self.away = trouble
        else:
            self.timeouts += 1
            if self.timeouts >= self.most_timeouts and not self.has_answered:
                self.away = trouble


@dataclass(frozen=True, slots=True)
class Partners:
    """With whom the rounds work."""

    watches: Watches
    prometheus: Prometheus
    answers: Answers
    teller: Teller
    counts: Counts


class Rounds:
    """Works on a thread of its own, one round each interval."""

    def __init__(self, settings: AutoscalerSettings, partners: Partners) -> None:
        self._settings = settings
        self._partners = partners
        self._profiles = Profiles()
        self._courses: dict[Name, Course] = {}
        self._standings: Mapping[Name, Standing] = MappingProxyType({})
        self._pool = ThreadPoolExecutor(settings.queries, "query")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round; queries under way end by themselves."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def standings(self) -> Mapping[Name, Standing]:
        """Return every function as of the last round."""
        return self._standings

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self.round()
            except Exception:  # noqa: BLE001 (a service loop, logged)
                if not self._stopping.is_set():  # its queries were cancelled
                    _log.exception("event=round_failed")
            took_s = time.monotonic() - began
            self._partners.counts.rounds.observe(took_s)
            self._stopping.wait(max(0.0, self._settings.interval_s - took_s))

    def round(self) -> None:
        """Look at all functions once, and publish what came of it."""
        watches, answers = self._partners.watches, self._partners.answers
        unseen = watches.trouble()
        if unseen:
            self._unseen(Trouble(Reason.CLUSTER_UNSEEN, unseen))
            return
        found = self._read()
        known = _Round(self._settings.queries)
        list(self._pool.map(lambda each: self._settle(each, known), self._due(found)))
        standings = [self._courses[each.name].standing for each in found]
        deployments = [each for function in found for each in function.deployments]
        answers.keep(each.target for each in deployments)
        self._standings = MappingProxyType({each.function.name: each for each in standings})
        answers.open()
        self._partners.teller.tell(answers.all(), {each.target: each.uid for each in deployments})

    def _read(self) -> list[Function]:
        """Return the functions there are now, and forget those that are gone."""
        watches, settings = self._partners.watches, self._settings
        self._profiles.take(watches.config_maps.items())
        defaults = Defaults(
            settings.scaling.policy,
            settings.scaling.scale_down_window_s,
            settings.prometheus.window,
        )
        grouped = functions.grouped(watches.deployments.items())
        bounds = bounds_of(watches.hpas.items())
        found = [self._function(name, grouped[name], defaults, bounds) for name in grouped]
        self._courses = {each.name: self._course(each) for each in found}
        return found

    def _function(
        self,
        name: Name,
        deployments: Sequence[Deployment],
        defaults: Defaults,
        bounds: Mapping[Target, Bounds],
    ) -> Function:
        try:
            return functions.read(name, deployments, self._profiles, defaults, bounds)
        except Exception:  # noqa: BLE001 (one function among many, logged)
            _log.exception("event=function_not_read function=%s", name)
            return functions.unreadable(name, deployments, _failed(name))

    def _course(self, function: Function) -> Course:
        settings = self._settings
        return self._courses.get(function.name) or Course(
            settings.scaling, settings.interval_s, Standing(function)
        )

    def _due(self, found: Sequence[Function]) -> list[Function]:
        """Return whose rate to ask for: all, and at last a few of those that timed out before."""
        slow = [each for each in found if self._courses[each.name].is_slow]
        slow.sort(key=lambda each: self._courses[each.name].tried_at_s)
        quick = [each for each in found if not self._courses[each.name].is_slow]
        return quick + slow[: self._settings.queries]

    def _settle(self, function: Function, known: _Round) -> None:
        """Decide over one function and publish where it stands now."""
        course = self._courses[function.name]
        before = course.standing
        try:
            standing = self._decide(function, course, known)
        except TroubleError as error:
            standing = replace(before, function=function, trouble=error.trouble)
        except ScalingError as error:
            trouble = Trouble(Reason.FAILED, f"function {function.name}: {error}")
            standing = replace(before, function=function, trouble=trouble)
        except Exception:  # noqa: BLE001 (one function among many, logged)
            _log.exception("event=decision_failed function=%s", function.name)
            standing = replace(before, function=function, trouble=_failed(function.name))
        course.standing = standing
        _publish(standing, self._partners.answers)
        _log_change(before, standing)

    def _decide(self, function: Function, course: Course, known: _Round) -> Standing:
        if not isinstance(function.scaling, Scaling):
            raise TroubleError(function.scaling.reason, function.scaling.text)
        if known.away:
            raise TroubleError(known.away.reason, known.away.text)
        try:
            standing = course.decide(function, function.scaling, self._partners.prometheus)
        except TroubleError as error:
            known.note(error.trouble)
            self._partners.counts.queries.labels(error.trouble.reason.value).inc()
            raise
        known.note(None)
        self._partners.counts.queries.labels(Reason.DECIDED.value).inc()
        return standing

    def _unseen(self, trouble: Trouble) -> None:
        """Give every Deployment that was known the same trouble."""
        answers = self._partners.answers
        for answer in answers.all():
            answers.withheld(answer.target, answer.about, trouble)
        self._standings = MappingProxyType(
            {name: replace(each, trouble=trouble) for name, each in self._standings.items()}
        )


def _publish(standing: Standing, answers: Answers) -> None:
    function, decision = standing.function, standing.decision
    for refused in function.refused:
        answers.withheld(refused.target, refused.about, refused.trouble)
    for member in function.members:
        if standing.trouble is not None:
            answers.withheld(member.target, member.about, standing.trouble)
        elif decision is not None:
            wanted = decision.wanted.get(member.shape, 0)
            answers.decided(member.target, member.about, wanted, standing.decided_at_s)


def _failed(name: Name) -> Trouble:
    return Trouble(Reason.FAILED, f"function {name}: the autoscaler failed; its log says why")


def _log_change(before: Standing, after: Standing) -> None:
    """Log what changed: another decision, another trouble."""
    name, decision = after.function.name, after.decision
    if after.trouble != before.trouble and after.trouble is not None:
        _log.warning(
            "event=not_decided function=%s reason=%s text=%r",
            name,
            after.trouble.reason.value,
            after.trouble.text,
        )
    if decision is None or after.trouble is not None:
        return
    if before.trouble or before.decision is None or before.decision.wanted != decision.wanted:
        wanted = ",".join(f"{shape}:{count}" for shape, count in sorted(decision.wanted.items()))
        _log.info(
            "event=decided function=%s wanted=%s rate_rps=%.1f forecast_rps=%.1f why=%r",
            name,
            wanted,
            decision.rate_rps,
            decision.forecast_rps,
            decision.why,
        )
