"""One function's way through the rounds, killed after every one of them."""

from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import pytest
from tests.support.autoscaler import config_map, deployment

from gshare.scaling import ControllerSettings, Sample
from gshare_autoscaler import functions
from gshare_autoscaler.conditions import Reason, TroubleError
from gshare_autoscaler.courses import Course, Standing
from gshare_autoscaler.functions import Defaults
from gshare_autoscaler.objects import ConfigMap, Deployment
from gshare_autoscaler.profiles import Profiles

DEFAULTS = Defaults("exact", 300.0, "30s")
STEP_S = 5.0
TRACE = ((0, 20.0), (100, 20.0), (200, 110.0), (300, 110.0), (420, 30.0), (900, 30.0))
"""Seconds and requests per second, straight in between."""


def rate_rps(at_s):
    for (from_s, from_rps), (to_s, to_rps) in pairwise(TRACE):
        if at_s <= to_s:
            part = max(0.0, at_s - from_s) / (to_s - from_s)
            return from_rps + part * (to_rps - from_rps)
    return TRACE[-1][1]


@dataclass
class FakePrometheus:
    """Has the rate of the trace at any time since `began_at_s`."""

    now_s: float = 1000.0
    began_at_s: float = -1e9

    def ask(self, query):
        if self.now_s < self.began_at_s:
            raise TroubleError(Reason.NO_DATA, query.origin)
        return Sample(self.now_s, rate_rps(self.now_s - 1000.0))

    def history(self, _query, length_s, step_s):
        count = int(length_s / step_s)
        times = [self.now_s - length_s + index * step_s for index in range(count + 1)]
        return [Sample(at, rate_rps(at - 1000.0)) for at in times if at >= self.began_at_s]


def function(thin, whole):
    """Return the function with so many replicas, all Ready."""
    profiles = Profiles()
    profiles.take([msgspec.convert(config_map(), ConfigMap)])
    given = [deployment("thin", replicas=thin), deployment("whole", 24, 100, replicas=whole)]
    grouped = functions.grouped([msgspec.convert(each, Deployment) for each in given])
    ((name, found),) = grouped.items()
    return functions.read(name, found, profiles, DEFAULTS)


def course(found):
    return Course(ControllerSettings(), STEP_S, Standing(found))


def step(on, prometheus, found):
    """Make one round; return what is wanted of the two shapes."""
    on.standing = on.decide(found, found.scaling, prometheus)
    wanted = on.standing.decision.wanted
    thin, whole = sorted(wanted, key=lambda shape: shape.sm_percent)
    return wanted[thin], wanted[whole]


def test_a_course_that_is_killed_after_every_round_goes_the_same_way():
    """Each round is also made by a new process; replicas follow at once."""
    prometheus, counts = FakePrometheus(), (1, 0)
    lasting = course(function(*counts))
    ways = []
    while prometheus.now_s < 1900.0:
        found = function(*counts)
        counts = step(lasting, prometheus, found)
        ways.append((counts, step(course(found), prometheus, found)))
        prometheus.now_s += STEP_S

    assert [old for old, _ in ways] == [new for _, new in ways]
    assert len({old for old, _ in ways}) > 2


def test_what_was_offered_counts_for_the_whole_window():
    prometheus, counts = FakePrometheus(), (1, 0)
    lasting, serving = course(function(*counts)), []
    while prometheus.now_s < 1900.0:
        counts = step(lasting, prometheus, function(*counts))
        serving.append((prometheus.now_s - 1000.0, 35.0 * counts[0] + 75.0 * counts[1]))
        prometheus.now_s += STEP_S

    assert all(rps >= 110.0 for at_s, rps in serving if 200.0 <= at_s <= 600.0)
    assert serving[-1][1] < 110.0


def test_a_clock_of_prometheus_that_goes_back_begins_anew():
    """What the last one said of a time to come would else stand until then."""
    prometheus = FakePrometheus(now_s=1300.0)
    found = function(4, 0)
    lasting = course(found)
    step(lasting, prometheus, found)

    prometheus.now_s = 1000.0
    step(lasting, prometheus, found)

    assert lasting.standing.decision.rate_rps == 20.0


def test_a_series_that_begins_is_waited_for_while_something_runs():
    prometheus = FakePrometheus(began_at_s=1000.0)
    found = function(1, 0)

    assert reasons_of(course(found), prometheus, found, 7) == ["WindowNotFull"] * 6 + [""]


def reasons_of(lasting, prometheus, found, count):
    """Make so many rounds; return why each decided nothing, "" where it did."""
    reasons = []
    for _ in range(count):
        try:
            step(lasting, prometheus, found)
            reasons.append("")
        except TroubleError as error:
            lasting.standing = replace(lasting.standing, trouble=error.trouble)
            reasons.append(error.trouble.reason.value)
        prometheus.now_s += STEP_S
    return reasons


def test_rounds_that_come_late_make_no_break():
    """Other functions' queries may take their time; nobody asked in vain meanwhile."""
    prometheus, found = FakePrometheus(), function(2, 0)
    lasting = course(found)
    reasons_of(lasting, prometheus, found, 2)

    prometheus.now_s += 120.0

    assert reasons_of(lasting, prometheus, found, 1) == [""]


def test_a_replica_that_has_just_begun_to_count_is_waited_for():
    """Before it there was none, and so no load that anyone could see."""
    prometheus = FakePrometheus(began_at_s=1010.0)
    prometheus.nothing = lambda: Sample(prometheus.now_s, 0.0)
    lasting = course(function(0, 0))
    before = reasons_of(lasting, prometheus, function(0, 0), 2)

    after = reasons_of(lasting, prometheus, function(1, 0), 6)

    assert before == ["", ""]
    assert after == ["WindowNotFull"] * 5 + [""]


@pytest.mark.parametrize("replicas", [0, 1], ids=["none runs", "one runs"])
def test_no_data_are_no_load_only_where_nothing_runs_that_could_count(replicas):
    prometheus = FakePrometheus(began_at_s=1e9)
    prometheus.nothing = lambda: Sample(prometheus.now_s, 0.0)
    found = function(replicas, 0)

    try:
        wanted = step(course(found), prometheus, found)
    except TroubleError as error:
        wanted = error.trouble.reason

    assert wanted == ((1, 0) if replicas == 0 else Reason.NO_DATA)
