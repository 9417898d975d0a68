"""Quota requests from the mean, quota limits from the peak."""

import pytest
from tests.support.profiles import make_point, make_profile, resnet

from gshare import scaling
from gshare.scaling import ScalingError, Shape

WIDE = Shape(12, 80)


def planned(*counts):
    """Return a plan of the paper's ResNet with these replicas."""
    options = scaling.options(resnet())
    return scaling.policies.plan_of(dict(counts), options, 0.0)


def test_the_request_is_what_the_mean_takes():
    assert scaling.requests(resnet(), planned((WIDE, 1)), 50.0) == {WIDE: 67}


def test_the_request_is_at_most_the_shapes_own():
    assert scaling.requests(resnet(), planned((WIDE, 1)), 80.0) == {WIDE: 80}


def test_the_mean_is_split_as_the_throughputs_are():
    half = scaling.requests(resnet(), planned((WIDE, 1)), 29.5)

    assert scaling.requests(resnet(), planned((WIDE, 2)), 59.0) == half


def test_the_request_keeps_the_slo():
    # At 12 % of the SMs p99 is 50.4 ms with a quota of 60, 60.0 with 40 and in between.
    assert scaling.requests(resnet(), planned((WIDE, 1)), 10.0, slo_ms=51.0) == {WIDE: 60}


def test_the_request_stays_within_the_profile():
    assert scaling.requests(resnet(), planned((WIDE, 1)), 0.1) == {WIDE: 20}


def test_the_limit_is_what_the_peak_takes():
    sizing = scaling.limits(resnet(), planned((WIDE, 1)), 65.0)[WIDE]

    assert sizing.quota_limit_percent == 93
    assert sizing.covers
    assert sizing.throughput_rps >= sizing.peak_rps == pytest.approx(65)


def test_a_peak_beyond_the_whole_time_is_not_covered():
    sizing = scaling.limits(resnet(), planned((WIDE, 1)), 70.0)[WIDE]

    assert (sizing.quota_limit_percent, sizing.covers) == (100, False)


def test_a_peak_below_the_mean_needs_no_limit_beyond_the_request():
    assert scaling.limits(resnet(), planned((WIDE, 1)), 30.0)[WIDE].quota_limit_percent == 80


def test_a_limit_stays_within_the_profile():
    narrow = make_profile(make_point(12, 20, 18.5), make_point(12, 80, 59.0))

    sizing = scaling.limits(narrow, planned((WIDE, 1)), 65.0)[WIDE]

    assert (sizing.quota_limit_percent, sizing.covers) == (80, False)


def test_a_request_of_the_least_there_is():
    tiny = make_profile(make_point(12, 1, 1.0), make_point(12, 80, 59.0))

    assert scaling.requests(tiny, planned((WIDE, 1)), 0.1) == {WIDE: 1}


def test_nothing_planned_is_nothing_to_size():
    assert scaling.requests(resnet(), planned(), 0.0) == {}
    assert scaling.limits(resnet(), planned(), 10.0) == {}


def test_a_plan_of_another_profile_is_refused():
    with pytest.raises(ScalingError, match="12x80: lies outside the profile of resnet"):
        scaling.limits(make_profile(make_point(6, 20)), planned((WIDE, 1)), 70.0)
