"""Whether a rate rests on a whole window."""

import pytest

from gshare.scaling import Sample
from gshare_autoscaler import runs
from gshare_autoscaler.runs import Pace, Run

PACE = Pace(window_s=30.0, step_s=5.0)


def samples(*times):
    return [Sample(float(at_s), 1.0) for at_s in times]


def test_what_was_before_counts_where_nobody_asked_for_it():
    run, kept = runs.after(Run.before(0.0), samples(5, 10), PACE)

    assert not run.lacks_s(PACE)
    assert len(kept) == 2


def test_a_series_that_begins_lacks_a_window():
    run, kept = runs.after(Run.before(0.0), samples(100, 105, 110), PACE)

    assert run.lacks_s(PACE) == 20.0
    assert kept == []


def test_a_window_is_full_once_data_came_for_so_long():
    run, kept = runs.after(Run.before(0.0), samples(*range(100, 145, 5)), PACE)

    assert not run.lacks_s(PACE)
    assert [each.at_s for each in kept] == [130.0, 135.0, 140.0]


def test_a_break_begins_anew():
    run, kept = runs.after(Run.before(0.0), samples(5, 10, 26, 31), PACE)

    assert run == Run(26.0, 31.0)
    assert [each.at_s for each in kept] == [5.0, 10.0]


@pytest.mark.parametrize(
    ("pace", "later_s"),
    [(PACE, 15.0), (Pace(2.0, 5.0), 15.0), (Pace(0.0, 5.0), 15.0)],
    ids=["half a window", "three steps of a short one", "no window"],
)
def test_a_short_break_is_none(pace, later_s):
    began = Run(0.0, 100.0)

    assert began.then(100.0 + later_s, pace).since_s == 0.0
    assert began.then(100.1 + later_s, pace).since_s == 100.1 + later_s


def test_a_query_without_a_window_never_waits():
    assert Run(7.0, 7.0).lacks_s(Pace(0.0, 5.0)) == 0.0


def test_a_sample_that_comes_late_moves_nothing_back():
    assert Run(0.0, 100.0).then(98.0, PACE) == Run(0.0, 100.0)


def test_a_pause_in_which_nobody_asked_is_no_break():
    assert Run(0.0, 100.0).on(500.0) == Run(0.0, 500.0)
