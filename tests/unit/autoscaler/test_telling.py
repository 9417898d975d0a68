"""Which troubles become events, and when."""

from dataclasses import replace

import pytest

from gshare_autoscaler.answers import About, Answer, Target
from gshare_autoscaler.conditions import Reason, Trouble
from gshare_autoscaler.telling import Teller

TARGET = Target("team", "thin")
GOOD = Answer(TARGET, About(), 3, 1.0, None)
AWAY = Trouble(Reason.PROMETHEUS_AWAY, "Prometheus: connection refused")
SHAPE = Trouble(Reason.BAD_SHAPE, "Deployment team/thin: limits: nothing")
PATIENCE_S = 15.0


class Scene:
    """A Teller whose events and clock are here."""

    def __init__(self):
        self.now_s = 100.0
        self.events = []
        self.teller = Teller(self, PATIENCE_S, lambda: self.now_s)

    def post(self, about, event_type, reason, _action, note):
        self.events.append((about.uid, event_type, reason, note))

    def round(self, trouble, after_s=5.0, replicas=3):
        self.now_s += after_s
        answer = replace(GOOD, trouble=trouble, replicas=replicas)
        self.teller.tell([answer], {TARGET: "uid-1"})

    @property
    def reasons(self):
        return [reason for _, _, reason, _ in self.events]


@pytest.fixture
def scene():
    return Scene()


def test_what_a_user_wrote_wrong_is_told_at_once(scene):
    scene.round(SHAPE, replicas=None)

    assert scene.events == [
        ("uid-1", "Warning", "BadShape", f"{SHAPE.text}; HPAs keep its replicas")
    ]


def test_missing_data_are_told_once_they_last(scene):
    for _ in range(3):
        scene.round(AWAY)
    early = list(scene.events)

    for _ in range(3):
        scene.round(AWAY)

    assert early == []
    assert scene.events == [
        ("uid-1", "Warning", "PrometheusAway", f"{AWAY.text}; its last number, 3, stands for now")
    ]


def test_what_is_over_soon_is_not_told_at_all(scene):
    for trouble in (AWAY, AWAY, None, AWAY, AWAY, None):
        scene.round(trouble)

    assert scene.events == []


def test_the_end_of_what_was_told_is_told(scene):
    scene.round(SHAPE)
    scene.round(None, replicas=4)
    scene.round(None)

    assert scene.reasons == ["BadShape", "ScalingResumed"]
    assert scene.events[1][3] == "it is scaled again, to 4"


def test_another_reason_is_told_and_another_text_after_a_minute(scene):
    scene.round(SHAPE)
    scene.round(Trouble(Reason.SAME_SHAPE, "another"))
    for seconds in (10.0, 10.0, 45.0):
        scene.round(Trouble(Reason.SAME_SHAPE, f"after {seconds}"), seconds)

    assert scene.reasons == ["BadShape", "SameShape", "SameShape"]


def test_a_window_that_fills_is_told_neither_as_trouble_nor_as_an_end(scene):
    scene.round(SHAPE)
    scene.round(Trouble(Reason.WINDOW_NOT_FULL, "soon"))
    scene.round(None)

    assert scene.reasons == ["BadShape", "ScalingResumed"]
