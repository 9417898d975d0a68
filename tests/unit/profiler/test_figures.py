"""Rates and percentiles of times."""

import pytest

from gshare_profiler import figures
from gshare_profiler.settings import Rounds, Span


def test_a_rate_is_that_of_the_gaps_between_completions() -> None:
    assert figures.rate_rps([10.0, 10.1, 10.2, 10.3]) == pytest.approx(10)


def test_where_the_measurement_began_and_ended_does_not_count() -> None:
    """A window's burst then a gap: 3 s hold 75 windows of two requests, whenever one looks."""
    completions = [window * 0.04 + step for window in range(76) for step in (0.005, 0.010)]

    assert figures.rate_rps(completions) == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("completions", [[], [1.0], [1.0, 1.0]], ids=["none", "one", "no time"])
def test_too_few_completions_tell_no_rate(completions: list[float]) -> None:
    with pytest.raises(ValueError, match="tell no rate"):
        figures.rate_rps(completions)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    percent: float, value: float
) -> None:
    assert figures.percentile([float(each) for each in range(100, 0, -1)], percent) == value


def test_a_span_is_over_after_time_and_requests_or_at_its_end() -> None:
    span = Span(3, 60, 20)

    assert not span.is_over(4, 59)
    assert not span.is_over(2.9, 100)
    assert span.is_over(3, 60)
    assert span.is_over(20, 0)


def test_a_slower_gpu_takes_longer_for_as_many_requests() -> None:
    assert Span(3, 60, 20).times(4) == Span(12, 60, 80)


@pytest.mark.parametrize(
    ("rates", "enough"),
    [
        ([], False),
        ([50.0], False),
        ([50.0, 49.5], True),
        ([50.0, 45.0], False),
        ([45.0, 44.9], True),
        ([30.0, 50.0, 40.0], False),
        ([30.0, 50.0, 40.0, 49.8], True),
        ([30.0, 50.0, 40.0, 45.0, 35.0, 47.0], True),
    ],
)
def test_rounds_are_enough_when_the_two_best_agree_or_at_the_most(
    rates: list[float],
    enough: bool,  # noqa: FBT001
) -> None:
    assert Rounds(Span(1, 1, 1)).are_enough(rates) is enough
