"""The law of a profile and the surface through its points, against functions that are known."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from gshare.profile import Trend, law
from gshare.profile.surface import Surface, law_of

SMS = (6, 12, 24, 50, 60, 80, 100)
QUOTAS = (20, 40, 60, 80, 100)
GRID = list(itertools.product(SMS, QUOTAS))
CROSS = [(6, 20), (6, 100), (12, 60), (24, 60), (50, 60), (100, 20), (100, 100)]
Rate = Callable[[int, int], float]


def resnet(sm: int, quota: int) -> float:
    return {6: 49.8, 12: 68.5}.get(sm, 75.0) * quota / 100


def until_half(sm: int, quota: int) -> float:
    return min(sm, 50) * quota / 100


def with_overhead(sm: int, quota: int) -> float:
    return min(100.0, 4.0 * sm) * (quota - 5) / 95


FUNCTIONS = {
    "ResNet, saturated from 24 %": resnet,
    "linear up to half of the SMs": until_half,
    "five percent of each window lost": with_overhead,
}


@pytest.mark.parametrize("rate", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_a_few_points_tell_the_whole_grid(rate: Rate) -> None:
    surface = Surface.fit({at: rate(*at) for at in CROSS})

    errors = [
        abs(told.value / rate(*at) - 1) for at, told in zip(GRID, surface.at(GRID), strict=True)
    ]

    assert np.median(errors) <= 0.03
    assert np.quantile(errors, 0.95) <= 0.10


def test_measured_points_are_told_again_with_the_error_of_a_trial() -> None:
    surface = Surface.fit({at: resnet(*at) for at in GRID})

    for at, told in zip(GRID, surface.at(GRID), strict=True):
        assert told.value == pytest.approx(resnet(*at), rel=0.01)
        assert told.error <= 0.011


def test_the_error_grows_with_the_distance_from_what_was_measured() -> None:
    surface = Surface.fit({at: resnet(*at) for at in [(24, 60), (24, 100), (100, 100)]})

    near, far, outside = surface.at([(30, 60), (12, 40), (6, 5)])

    assert near.error < far.error < outside.error


def test_a_misfit_along_the_sms_widens_the_errors_between_sms_alone() -> None:
    odd = {6: 1.0, 12: 1.3, 24: 0.8, 50: 1.25, 100: 0.9}
    measured = {(sm, 100): 50 * factor for sm, factor in odd.items()}
    measured |= {(24, quota): 50 * odd[24] * quota / 100 for quota in QUOTAS}
    surface = Surface.fit(measured)

    between_sms, between_quotas = surface.at([(36, 100), (24, 50)])

    assert between_sms.error > 3 * between_quotas.error


def test_the_trend_has_the_bend_and_the_exponent_of_what_was_measured() -> None:
    trend = law.fit({at: min(at[0], 24) * (at[1] / 100) ** 0.8 for at in GRID})

    assert trend.quota_exponent == pytest.approx(0.8, abs=0.02)
    assert 20 <= trend.bend_percent <= 28
    assert trend.level == pytest.approx(24, rel=0.03)


def test_one_point_goes_with_the_quota() -> None:
    trend = law.fit({(12, 40): 20.0})

    assert trend.at(12, 40) == pytest.approx(20)
    assert trend.at(12, 80) == pytest.approx(40, rel=0.01)


def test_the_error_of_the_law_is_that_of_points_left_out() -> None:
    even = law_of({at: resnet(*at) for at in GRID}, {at: 1000 / resnet(*at) for at in GRID})
    noise = np.random.default_rng(1).normal(0, 0.1, len(GRID))
    noisy = {at: resnet(*at) * float(np.exp(z)) for at, z in zip(GRID, noise, strict=True)}

    assert even.throughput_error <= 0.03
    assert 0.1 <= law_of(noisy, noisy).throughput_error <= 0.4


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_positive_rate_is_refused_by_name(rate: float) -> None:
    with pytest.raises(ValueError, match="SM 12 quota 40"):
        Surface.fit({(6, 20): 1.0, (12, 40): rate})


def test_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurement"):
        law.fit({})


@pytest.mark.parametrize(
    "wrong",
    [{"level": 0.0}, {"bend_percent": -1.0}, {"sharpness": float("nan")}],
    ids=["level", "bend", "sharpness"],
)
def test_a_trend_refuses_what_is_not_above_zero(wrong: dict[str, float]) -> None:
    given = {"level": 75.0, "quota_exponent": 1.0, "bend_percent": 8.0, "sharpness": 3.0}

    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*above 0"):
        Trend(**{**given, **wrong})


def test_the_law_tells_throughput_and_p99_of_any_shape() -> None:
    rates = {at: resnet(*at) for at in GRID}
    found = law_of(rates, {at: 2000 / rate for at, rate in rates.items()})

    assert found.throughput_rps(24, 60) == pytest.approx(45, rel=0.03)
    assert found.p99_ms(24, 60) == pytest.approx(2000 / 45, rel=0.03)


def test_a_given_trend_is_kept_and_what_differs_from_it_is_told() -> None:
    trend = Trend(75.0, 1.0, 1.0, 3.0)

    surface = Surface.fit({(6, 100): 50.0}, trend)

    (measured, elsewhere) = surface.at([(6, 100), (100, 100)])
    assert surface.trend is trend
    assert measured.value == pytest.approx(50, rel=0.02)
    assert 50 < elsewhere.value < 75


def test_nothing_asked_is_nothing_told() -> None:
    assert Surface.fit({(6, 100): 50.0}).at([]) == []
