"""Histograms read from Prometheus' text, and their percentiles."""

import math

import pytest
from benchmarks.cluster.histograms import Histogram, Scrape

TEXT = """\
# TYPE request_seconds histogram
request_seconds_bucket{verb="bind",le="0.01"} 60
request_seconds_bucket{verb="bind",le="0.02"} 100
request_seconds_bucket{verb="bind",le="+Inf"} 100
request_seconds_sum{verb="bind"} 0.9
request_seconds_count{verb="bind"} 100
request_seconds_bucket{verb="filter",le="0.01"} 0
request_seconds_bucket{verb="filter",le="0.02"} 0
request_seconds_bucket{verb="filter",le="+Inf"} 4
request_seconds_sum{verb="filter"} 1.1
request_seconds_count{verb="filter"} 4
# TYPE conflicts counter
conflicts_total{node="a"} 2
conflicts_total{node="b"} 3
"""


def test_a_percentile_lies_in_its_bucket_in_proportion():
    found = Scrape.parse(TEXT).histogram("request_seconds", verb="bind")

    assert found.percentile_s(30) == pytest.approx(0.005)
    assert found.percentile_s(80) == pytest.approx(0.015)
    assert found.percentile_s(100) == pytest.approx(0.02)


def test_an_observation_above_the_last_bound_counts_as_that_bound():
    found = Scrape.parse(TEXT).histogram("request_seconds", verb="filter")

    assert found.percentile_s(50) == 0.02
    assert found.mean_s == pytest.approx(0.275)


def test_series_that_share_the_labels_asked_for_are_one_histogram():
    found = Scrape.parse(TEXT).histogram("request_seconds")

    assert found == Histogram((0.01, 0.02, math.inf), (60, 100, 104), 2.0)
    assert found.count == 104


def test_a_histogram_without_observations_has_zero_percentiles():
    found = Histogram((0.1, math.inf), (0, 0), 0)

    assert (found.mean_s, found.percentile_s(50)) == (0, 0)


def test_a_counter_is_the_sum_of_its_series():
    found = Scrape.parse(TEXT)

    assert found.total("conflicts_total") == 5
    assert found.total("conflicts_total", node="b") == 3
    assert found.total("absent_total") == 0


def test_a_label_has_the_values_that_were_observed():
    assert Scrape.parse(TEXT).values("request_seconds", "verb") == ["bind", "filter"]


def test_a_histogram_that_is_absent_is_named():
    with pytest.raises(LookupError, match=r"no histogram request_seconds with .*preempt"):
        Scrape.parse(TEXT).histogram("request_seconds", verb="preempt")


@pytest.mark.parametrize(
    ("bounds", "counts", "said"),
    [
        pytest.param((), (), "0 bounds", id="no buckets"),
        pytest.param((0.1, math.inf), (1,), "2 bounds, 1 counts", id="a count missing"),
        pytest.param((0.1, 0.2), (1, 2), "must be infinity", id="no last bucket"),
        pytest.param((0.1, math.inf), (2, 1), "must not fall", id="not cumulative"),
    ],
)
def test_buckets_that_are_no_histogram_are_refused(bounds, counts, said):
    with pytest.raises(ValueError, match=said):
        Histogram(bounds, counts, 0)


def test_a_percentage_above_100_is_refused():
    with pytest.raises(ValueError, match="percent 101"):
        Histogram((math.inf,), (1,), 1).percentile_s(101)
