"""Which shapes are tried."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from tests.support.profiling import resnet

from gshare.profile import Surface
from gshare_profiler.design import PAPER_QUOTAS, PAPER_SMS, Adaptive, Design, Grid

PAPER = list(itertools.product(PAPER_SMS, PAPER_QUOTAS))
Rate = Callable[[int, int], float]


def until_half(sm: int, quota: int) -> float:
    return min(sm, 50) * quota / 100


def small_quotas_get_more(sm: int, quota: int) -> float:
    return resnet(sm, 100) * (quota / 100) ** 0.82


def windows_lose_time(sm: int, quota: int) -> float:
    return min(100.0, 4.0 * sm) * (quota - 5) / 95


RATES = {
    "ResNet": resnet,
    "linear up to half of the SMs": until_half,
    "the paper's quotas": small_quotas_get_more,
    "time lost in each window": windows_lose_time,
}


def carried_out(design: Design, rate: Rate, noise: float = 0.0) -> dict[tuple[int, int], float]:
    chance = np.random.default_rng(7)
    tried: dict[tuple[int, int], float | None] = {}
    while (at := design.next(tried)) is not None:
        assert at not in tried
        tried[at] = rate(*at) * float(np.exp(chance.normal(0, noise)))
    return {at: found for at, found in tried.items() if found is not None}


def test_the_grid_is_the_papers() -> None:
    assert set(carried_out(Grid(), resnet)) == set(PAPER)
    assert Grid().most == 35


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES.keys())
@pytest.mark.parametrize("noise", [0.0, 0.01], ids=["exact trials", "trials off by 1 %"])
def test_twelve_trials_at_most_tell_the_whole_grid(rate: Rate, noise: float) -> None:
    """The bars of the product: median error at most 4 %, 95th percentile at most 10 %."""
    tried = carried_out(Adaptive(), rate, noise)

    told = Surface.fit(tried).at(PAPER)
    errors = [abs(each.value / rate(*at) - 1) for at, each in zip(PAPER, told, strict=True)]

    assert 9 <= len(tried) <= 12
    assert np.median(errors) <= 0.04
    assert np.quantile(errors, 0.95) <= 0.10


def test_trials_go_where_the_law_is_least_certain() -> None:
    """The rate jumps between 24 and 50 % of the SMs, for the smallest and the largest quota."""

    def jumps(sm: int, quota: int) -> float:
        return (10 if sm < 40 else 30) * quota / 100

    added = list(carried_out(Adaptive(), jumps))[5:]

    assert sum(sm in {24, 50, 60} for sm, _ in added) >= len(added) / 2


def test_a_failed_shape_is_not_tried_again_by_the_design() -> None:
    tried: dict[tuple[int, int], float | None] = {(6, 20): None}
    while (at := Adaptive().next(tried)) is not None:
        assert at not in tried
        tried[at] = resnet(*at)

    assert 9 <= len(tried) <= 12


def test_it_ends_where_nothing_works() -> None:
    tried: dict[tuple[int, int], float | None] = {}
    while (at := Adaptive().next(tried)) is not None:
        tried[at] = None

    assert len(tried) == 5
