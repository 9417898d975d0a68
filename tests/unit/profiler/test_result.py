"""The profile made of trials, its ConfigMap, its report, and another one beside it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.support.profiling import V100, failed, resnet, trial

from gshare.errors import GshareError
from gshare.profile import Profile, read
from gshare_profiler import page, plots, result
from gshare_profiler.design import Grid
from gshare_profiler.journal import Trial
from gshare_profiler.result import Subject

SUBJECT = Subject("resnet", V100, is_simulated=True, slo_ms=69)
FULL = [trial(*at, resnet(*at)) for at in Grid().shapes]


def made(trials: list[Trial]) -> Profile:
    return result.profile_of(SUBJECT, trials)


def test_a_profile_has_a_point_for_each_shape_and_names_what_failed() -> None:
    profile = made([trial(12, 40, 27.4), failed(6, 20)])

    assert [point.key for point in profile.points] == [(12, 40)]
    assert profile.failed[0].reason == "out of memory"
    assert profile.law is not None


def test_of_several_trials_the_fastest_counts_and_the_most_memory() -> None:
    slow = trial(rate_rps=20, memory_bytes=5, p50_ms=1, p95_ms=2, p99_ms=3)
    fast = trial(rate_rps=27, memory_bytes=4, p50_ms=2, p95_ms=3, p99_ms=4)

    (point,) = made([slow, fast]).points

    assert (point.throughput_rps, point.memory_bytes, point.trials) == (27, 5, 2)
    assert (point.latency.p50_ms, point.latency.p99_ms) == (1, 3)


def test_a_shape_that_failed_and_then_worked_has_not_failed() -> None:
    assert made([failed(12, 40), trial(12, 40)]).failed == ()


def test_no_trial_that_worked_makes_no_profile() -> None:
    with pytest.raises(GshareError, match="no trial gave figures"):
        made([failed()])


def test_the_config_map_holds_the_profile_under_its_labels() -> None:
    profile = made(FULL)

    body = yaml.safe_load(result.config_map(profile, "models"))

    assert body["metadata"]["name"] == "resnet-simulated-v100-profile"
    assert body["metadata"]["namespace"] == "models"
    assert body["metadata"]["labels"] == {
        "gshare.io/function": "resnet",
        "gshare.io/profile": "true",
    }
    assert read(body["data"]["profile.json"], "ConfigMap") == profile


def test_an_adaptive_profile_tells_every_shape_of_the_full_one() -> None:
    few = [at for at in Grid().shapes if at[0] in {6, 12, 100} and at[1] in {20, 60, 100}]
    told = result.differences(made([trial(*at, resnet(*at)) for at in few]), made(FULL))

    assert len(told) == 35
    assert {(each.sm, each.quota) for each in told if each.is_measured} == set(few)
    assert max(abs(each.relative) for each in told) <= 0.1


def test_the_report_holds_all_that_it_shows(tmp_path: Path) -> None:
    profile = made([*FULL[:-1], failed(100, 100, "<out> of memory")])
    files = plots.draw(profile, tmp_path)
    drawings = {name: file.read_text() for name, file in files.items()}

    text = page.page(profile, drawings, {"grid": "paper"}, ("paper", []))

    assert re.findall(r"<link|<script|@import|src=|href=\"(?!#|data:)|url\((?!#)", text) == []
    assert text.count("<svg") == 3
    assert "simulated GPU: no figure is from hardware" in text
    assert "&lt;out&gt; of memory" in text
    assert "<out>" not in text


def test_identifiers_of_drawings_do_not_meet_on_the_page() -> None:
    drawing = '<svg id="figure_1"><defs><path id="a"/></defs><use href="#a"/></svg>'

    text = page.page(made(FULL), {"one": drawing, "two": drawing}, {})

    assert 'id="one-a"' in text
    assert 'href="#two-a"' in text
    assert 'id="a"' not in text


def test_figures_are_the_same_each_time(tmp_path: Path) -> None:
    profile = made(FULL)
    (tmp_path / "again").mkdir()

    first = {name: file.read_bytes() for name, file in plots.draw(profile, tmp_path).items()}
    again = {
        name: file.read_bytes() for name, file in plots.draw(profile, tmp_path / "again").items()
    }

    assert first == again
    assert all((tmp_path / f"{name}.png").stat().st_size > 1000 for name in plots.NAMES)


def test_rpr_is_throughput_by_the_share_of_the_gpu() -> None:
    assert plots.rpr((12, 40), 35) == pytest.approx(729, abs=1)  # the paper's own figure


def test_a_config_map_without_a_namespace_goes_where_it_is_applied() -> None:
    body = yaml.safe_load(result.config_map(made(FULL), None))

    assert json.loads(body["data"]["profile.json"])["slo_ms"] == 69
    assert "namespace" not in body["metadata"]
