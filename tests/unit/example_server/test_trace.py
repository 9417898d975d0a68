"""A trace of rates, and the arrivals it makes."""

import itertools

import pytest

from gshare_example_server.load.trace import Trace, TraceError, even, poisson

PAPER = "0:0 5:30 35:60 110:110 125:100 135:90 145:70 160:50 184:21"


@pytest.mark.parametrize(
    ("at_s", "rate_rps"),
    [
        pytest.param(0, 0, id="the start"),
        pytest.param(2.5, 15, id="between knots"),
        pytest.param(35, 60, id="at a knot"),
        pytest.param(184, 0, id="the end"),
    ],
)
def test_the_rate_is_linear_between_knots(at_s: float, rate_rps: float) -> None:
    assert Trace.parse(PAPER).rate_rps(at_s) == pytest.approx(rate_rps)


def test_the_rate_after_a_jump_is_the_later_one() -> None:
    assert Trace.parse("0:10 5:10 5:40 9:40").rate_rps(5) == 40


def test_even_arrivals_are_as_many_as_the_area_under_the_rate() -> None:
    trace = Trace.parse(PAPER)
    area = sum(
        (after.at_s - before.at_s) * (before.rate_rps + after.rate_rps) / 2
        for before, after in itertools.pairwise(trace.knots)
    )

    moments = list(trace.arrivals(even()))

    assert len(moments) == int(area)
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] <= trace.seconds


def test_even_arrivals_come_one_period_apart_at_each_rate() -> None:
    moments = list(Trace.parse("0:10 2:10 2:40 4:40").arrivals(even()))

    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert gaps[:19] == [pytest.approx(0.1)] * 19
    assert gaps[20:] == [pytest.approx(0.025)] * 79


def test_a_rising_rate_draws_arrivals_together() -> None:
    moments = list(Trace.parse("0:0 10:20").arrivals(even()))

    assert moments[:4] == [pytest.approx(number**0.5) for number in (1, 2, 3, 4)]


def test_nothing_arrives_while_the_rate_is_zero() -> None:
    moments = list(Trace.parse("0:5 1:5 1:0 4:0 4:5 5:5").arrivals(even()))

    assert not [moment for moment in moments if 1 < moment < 4]


def test_poisson_arrivals_keep_the_mean_and_repeat_by_their_seed() -> None:
    trace = Trace.parse("0:50 100:50")

    moments = list(trace.arrivals(poisson(7)))

    assert len(moments) == pytest.approx(5000, rel=0.05)
    assert moments == list(trace.arrivals(poisson(7)))
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "two knots", id="nothing"),
        pytest.param("0:5", "two knots", id="one knot"),
        pytest.param("0:5 10", "'10'", id="no rate"),
        pytest.param("0:5 9:-1", "9:-1", id="a negative rate"),
        pytest.param("0:5 9:5 8:5", "8:5", id="a step back in time"),
        pytest.param("0:5 nan:5", "nan", id="not a time"),
    ],
)
def test_a_text_that_is_no_trace_is_refused_by_its_knot(text: str, told: str) -> None:
    with pytest.raises(TraceError, match=told):
        Trace.parse(text)
