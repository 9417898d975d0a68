"""What one trial makes of what the load says and what was seen of the GPU."""

import asyncio

import pytest
from tests.support.profiling import GIB, FakeReplica

from gshare.errors import GshareError
from gshare_profiler import trial
from gshare_profiler.load import Figures, Phase, arguments, read_line
from gshare_profiler.load.plan import Plan, line_of, read_plan
from gshare_profiler.request import Request
from gshare_profiler.settings import TrialSettings
from gshare_profiler.site import Counters
from gshare_profiler.trial import Gauge, Measured, TrialError

FIGURES = Figures(27.4, 21.9, 160, 20.0, 40.0, 50.0)


def measure(replica: FakeReplica, time_scale: int = 1) -> Measured:
    request = Request("POST", "/infer")
    return asyncio.run(trial.measure(replica, request, TrialSettings(), time_scale))


def test_the_figures_are_those_of_the_load() -> None:
    found = measure(FakeReplica(FIGURES, lines=["a warning of some library"]))

    assert (found.throughput_rps, found.p50_ms, found.p99_ms) == (27.4, 20.0, 50.0)
    assert found.memory_bytes == GIB


def test_a_slower_gpu_is_measured_longer_and_told_at_full_speed() -> None:
    replica = FakeReplica(FIGURES)

    found = measure(replica, time_scale=4)

    assert replica.plans[0].settings.saturation == TrialSettings().saturation.times(4)
    assert found.throughput_rps == pytest.approx(4 * 27.4)
    assert found.p99_ms == pytest.approx(50 / 4)


def test_requests_that_fail_fail_the_trial_by_name() -> None:
    with pytest.raises(TrialError, match="POST /infer: HTTP status 404"):
        measure(FakeReplica(Figures(failure="HTTP status 404")))


def test_a_load_that_ends_without_figures_is_told_with_its_last_words() -> None:
    class Broken(FakeReplica):
        async def load(self, plan: Plan):  # type: ignore[no-untyped-def,override]
            del plan
            yield "Traceback"
            yield "ModuleNotFoundError: locust"

    with pytest.raises(TrialError, match="ModuleNotFoundError: locust"):
        measure(Broken(FIGURES))


def test_a_gpu_that_nothing_is_seen_of_fails_the_trial() -> None:
    class Blind(FakeReplica):
        async def counters(self) -> Counters | None:
            return None

    with pytest.raises(TrialError, match="counters"):
        measure(Blind(FIGURES))


def test_utilisation_is_that_of_the_saturated_time_alone() -> None:
    gauge = Gauge()
    for phase, at_s, busy_s, sm_s in (
        (Phase.WARM_UP, 0.0, 0.0, 0.0),
        (Phase.SATURATION, 1.0, 0.1, 0.01),
        (Phase.SATURATION, 2.0, 0.5, 0.06),
        (Phase.SATURATION, 3.0, 0.9, 0.11),
        (Phase.LATENCY, 4.0, 1.0, 0.12),
    ):
        gauge.phase = phase
        gauge.see(Counters(at_s, busy_s, sm_s, 7))

    assert gauge.saturated() == pytest.approx((0.4, 0.05))


def test_one_look_under_saturation_tells_no_utilisation() -> None:
    gauge = Gauge(Phase.SATURATION)
    gauge.see(Counters(1.0, 0.1, 0.01, 7))
    gauge.see(None)

    assert gauge.saturated() is None


def test_plan_and_lines_of_the_load_come_through_as_they_were_said() -> None:
    plan = Plan(Request("POST", "/", (("a", "b"),), b"\x00\xff"), TrialSettings(), hold_s=1.5)

    text, url = arguments(plan, "http://127.0.0.1:8080")

    assert read_plan(text) == plan
    assert url == "http://127.0.0.1:8080"
    assert read_line(line_of(Phase.LATENCY)) is Phase.LATENCY
    assert read_line(line_of(FIGURES)) == FIGURES


@pytest.mark.parametrize("line", ["", "hello", "{}", '{"other": 1}'])
def test_other_lines_say_nothing(line: str) -> None:
    assert read_line(line) is None


@pytest.mark.parametrize("line", ['{"phase":"?"}', '{"figures":{"requests":', '{"figures":3}'])
def test_a_line_of_ours_that_is_broken_is_told(line: str) -> None:
    with pytest.raises(GshareError, match="something odd"):
        read_line(line)
