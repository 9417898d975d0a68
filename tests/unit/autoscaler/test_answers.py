"""How long a number stands, and what is said where it does not."""

import pytest

from gshare_autoscaler.answers import NOT_YET, About, Answers, Target
from gshare_autoscaler.conditions import Reason, Trouble

A, B, C = Target("team", "a"), Target("team", "b"), Target("other", "c")
ABOUT = About("resnet")
AWAY = Trouble(Reason.PROMETHEUS_AWAY, "refused")


class Clock:
    """The monotonic clock, moved by hand."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def answers(clock):
    return Answers(60.0, clock)


def test_a_decision_stands_with_the_time_of_its_data(answers):
    answers.decided(A, ABOUT, 3, 1000.0)

    found = answers.get(A)
    assert (found.replicas, found.at_s, found.trouble) == (3, 1000.0, None)


def test_the_last_good_number_stands_through_trouble_for_its_time(answers, clock):
    answers.decided(A, ABOUT, 3, 1000.0)
    clock.now_s = 60.0
    answers.withheld(A, ABOUT, AWAY)

    found = answers.get(A)
    assert (found.replicas, found.at_s, found.trouble) == (3, 1000.0, AWAY)


def test_trouble_does_not_prolong_a_number(answers, clock):
    answers.decided(A, ABOUT, 3)
    clock.now_s = 50.0
    answers.withheld(A, ABOUT, AWAY)
    clock.now_s = 60.1

    found = answers.get(A)
    assert (found.replicas, found.trouble) == (None, AWAY)


def test_a_number_expires_although_nobody_says_so(answers, clock):
    """The loop is stuck: there is no trouble to give, so the store gives its own."""
    answers.decided(A, ABOUT, 3)
    clock.now_s = 60.1

    found = answers.get(A)
    assert found.replicas is None
    assert str(found.trouble) == ("StaleData: deployment team/a: nothing was decided for over 60 s")


def test_a_new_decision_ends_trouble(answers, clock):
    answers.withheld(A, ABOUT, AWAY)
    clock.now_s = 500.0
    answers.decided(A, ABOUT, 0)

    found = answers.get(A)
    assert (found.replicas, found.trouble) == (0, None)


def test_what_was_never_decided_has_no_number(answers):
    answers.withheld(A, ABOUT, NOT_YET)

    found = answers.get(A)
    assert (found.replicas, found.at_s, found.trouble) == (None, 0.0, NOT_YET)


def test_who_is_not_kept_is_forgotten(answers):
    for target in (A, B, C):
        answers.decided(target, ABOUT, 1)

    answers.keep(iter([A, C]))

    assert [each.target for each in answers.all()] == [C, A]
    assert answers.get(B) is None


def test_a_namespace_is_listed_alone_and_in_order(answers):
    for target in (B, C, A):
        answers.decided(target, ABOUT, 1)

    assert [each.target for each in answers.all("team")] == [A, B]


def test_the_labels_are_those_of_the_last_word(answers):
    answers.decided(A, About("old"), 1)
    answers.withheld(A, About("new"), AWAY)

    assert answers.get(A).about.function == "new"


def test_replicas_are_counted_from_zero(answers):
    with pytest.raises(ValueError, match="deployment team/a: replicas: -1: must be 0 or more"):
        answers.decided(A, ABOUT, -1)


def test_a_store_is_open_once_it_was_opened(answers):
    before = answers.is_open
    answers.open()

    assert (before, answers.is_open) == (False, True)
