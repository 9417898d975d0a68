"""Bars, churn and samples of the packing benchmark."""

import pytest
from benchmarks.packing import bars, churn, soundness
from benchmarks.packing.churn import Load
from benchmarks.packing.mixes import MIXES

from gshare.modes import RECT
from gshare.rectangles import Size


@pytest.mark.parametrize(
    ("missed", "holds"), [(0, True), (1, False)], ids=["none missed", "one missed"]
)
def test_one_missed_quota_fails_the_bar_of_the_default_mode(missed, holds):
    row = {"part": "B7", "way": "rect", "kernel_us": 100, "sets_that_missed": missed}

    assert [claim.holds for claim in bars.claims_of([row])] == [holds]


def test_the_bar_of_4_gpus_is_not_judged_on_16():
    row = {"part": "B2", "way": "rect", "mix": "fast", "gpus": 16, "used_percent": 1.0}

    assert bars.claims_of([row]) == []


def test_a_load_far_below_the_gpus_refuses_nothing_and_uses_what_is_offered():
    found = churn.measured("rect", "fast", MIXES["fast"], Load(8, 800, offered=0.2), 1)

    assert found.rows[0]["refused_percent"] == 0
    assert found.rows[0]["used_percent"] == pytest.approx(20, abs=4)


def test_a_sample_holds_different_timetables_and_is_the_same_each_time():
    timetables = [RECT.empty.beside("a", Size(width, 50)) for width in (10, 10, 20, 30)]

    sample = soundness.sampled(timetables, 3)

    assert len(set(sample)) == 3
    assert sample == soundness.sampled(reversed(timetables), 3)
