"""Trials one after the other: twice at most, kept, gone on with."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.profiling import FakeSite, Notes, resnet, trial

from gshare.errors import GshareError
from gshare_profiler.campaign import Campaign, odd_one_of
from gshare_profiler.design import Grid
from gshare_profiler.journal import Journal, Trial
from gshare_profiler.request import Request
from gshare_profiler.settings import TrialSettings

SMALL = Grid(sms=(6, 12), quotas=(20, 40))


def run(
    path: Path, site: FakeSite, notes: Notes | None = None, grid: Grid = SMALL
) -> Sequence[Trial]:
    campaign = Campaign(grid, Request("GET", "/infer"), TrialSettings())
    with Journal.open(path / "trials.jsonl", {"of": "test"}) as journal:
        return asyncio.run(campaign.run(site, journal, notes or Notes()))


def test_every_shape_is_tried_once(tmp_path: Path) -> None:
    site, notes = FakeSite(), Notes()

    trials = run(tmp_path, site, notes)

    assert site.served == SMALL.shapes
    assert [each.measured and each.measured.throughput_rps for each in trials] == pytest.approx(
        [resnet(*at) for at in SMALL.shapes]
    )
    assert notes.results == list(trials)


def test_an_attempt_that_fails_is_made_once_more(tmp_path: Path) -> None:
    site, notes = FakeSite(troubles=["no luck"]), Notes()

    first, *_ = run(tmp_path, site, notes)

    assert first.measured is not None
    assert first.attempts == 2
    assert notes.failures == ["(6, 20) 1: no luck"]


def test_a_shape_that_fails_twice_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    site = FakeSite(broken=frozenset({(6, 40)}))

    trials = run(tmp_path, site)

    assert [(each.sm, each.quota) for each in trials if each.measured is None] == [(6, 40)]
    (failed,) = (each for each in trials if each.measured is None)
    assert failed.reason == "cannot be had"
    assert len(trials) == len(SMALL.shapes)


def test_where_nothing_works_it_ends_early_and_says_why(tmp_path: Path) -> None:
    site = FakeSite(broken=frozenset(SMALL.shapes))

    with pytest.raises(GshareError, match=r"3 shapes were tried and none gave figures.*cannot be"):
        run(tmp_path, site)

    assert len(site.served) == 6


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    """Whichever trial it was interrupted in, no other one is made again."""

    class Interrupted(BaseException):
        pass

    for count in range(len(SMALL.shapes)):
        folder = tmp_path / str(count)

        def interrupts(sm: int, quota: int, count: int = count) -> float:
            if (sm, quota) == SMALL.shapes[count]:
                raise Interrupted
            return resnet(sm, quota)

        with pytest.raises(Interrupted):
            run(folder, FakeSite(interrupts))
        site = FakeSite()
        trials = run(folder, site)

        assert site.served == SMALL.shapes[count:]
        assert len(trials) == len(SMALL.shapes)


def test_a_shape_slower_than_a_smaller_one_is_measured_once_more(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def disturbed_once(sm: int, quota: int) -> float:
        seen.append((sm, quota))
        slow = (sm, quota) == (12, 40) and seen.count((12, 40)) == 1
        return resnet(sm, quota) * (0.5 if slow else 1)

    trials = run(tmp_path, FakeSite(disturbed_once))

    assert seen == [*SMALL.shapes, (12, 40)]
    assert len(trials) == 5


def test_what_differs_as_trials_do_is_not_odd() -> None:
    assert odd_one_of([trial(24, 40, 30.0), trial(50, 40, 29.2)]) is None
    assert odd_one_of([trial(24, 40, 30.0), trial(50, 40, 28.0)]) == (50, 40)
    assert odd_one_of([trial(24, 40, 30.0), trial(50, 40, 28.0), trial(50, 40, 28.0)]) is None


def test_a_p99_half_as_long_again_as_a_smaller_shapes_is_odd() -> None:
    assert odd_one_of([trial(p99_ms=40.0), trial(24, 40, 20.0, p99_ms=59.0)]) is None
    assert odd_one_of([trial(p99_ms=40.0), trial(24, 40, 20.0, p99_ms=61.0)]) == (24, 40)


def test_what_no_profile_could_be_made_of_is_tried_four_times() -> None:
    slow = trial(50, 40, 20.0)

    assert odd_one_of([trial(24, 40, 30.0), *[slow] * 3]) == (50, 40)
    assert odd_one_of([trial(24, 40, 30.0), *[slow] * 4]) is None
    assert odd_one_of([trial(24, 40, 30.0), slow, trial(50, 40, 29.0)]) is None
