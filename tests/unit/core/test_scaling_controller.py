"""What a function should have, sync after sync: forecast, hysteresis, make before break."""

import pytest
from tests.support.profiles import make_option

from gshare.scaling import Controller, ControllerSettings, Sample, ScalingError, Shape

A, B, C = Shape(12, 40), Shape(12, 60), Shape(24, 40)
OPTIONS = (make_option(12, 40, 35.0, 0.06), make_option(12, 60, 50.0, 0.072))


def make_controller(**changes):
    values = {"headroom": 1.0, "lead_s": 0.0, "trend_s": 0.0, "scale_down_window_s": 0.0}
    return Controller(ControllerSettings(**(values | changes)))


def constant(rate_rps, start_s, end_s, step_s=15):
    return [Sample(at, rate_rps) for at in range(start_s, end_s + 1, step_s)]


def wanted(decision):
    return {shape: count for shape, count in decision.wanted.items() if count}


def decide(controller, now_s, rates, running=None, ready=None):
    running = running or {}
    return controller.decide(now_s, rates, running, running if ready is None else ready, OPTIONS)


def test_headroom_multiplies_the_rate():
    decision = decide(make_controller(headroom=1.25), 0.0, [Sample(0.0, 40.0)])

    assert decision.planned_rps == pytest.approx(50)
    assert wanted(decision) == {B: 1}


def test_every_number_of_a_decision_is_told():
    decision = decide(make_controller(headroom=1.5), 0.0, [Sample(0.0, 100.0)], {B: 2}, {B: 1})

    assert decision.rate_rps == 100
    assert decision.forecast_rps == 100
    assert decision.planned_rps == 150
    assert decision.capacity_rps == 50
    assert decision.gap_rps == 100
    assert decision.why == (
        "100.0 req/s offered, 100.0 forecast, times 1.5; "
        "3 of 12x60 serves 150.0 req/s, 150.0 are needed; 0.216 GPUs"
    )


def test_a_rising_rate_is_planned_where_it_will_be():
    controller = make_controller(lead_s=30.0, trend_s=60.0)

    decision = decide(controller, 60.0, [Sample(at, 40.0 + at) for at in range(0, 61, 15)])

    assert decision.forecast_rps == pytest.approx(130)


def test_the_age_of_the_newest_sample_is_part_of_the_way_ahead():
    controller = make_controller(lead_s=30.0, trend_s=60.0)

    decision = decide(controller, 70.0, [Sample(at, 40.0 + at) for at in range(0, 61, 15)])

    assert decision.forecast_rps == pytest.approx(140)


def test_a_falling_rate_is_not_forecast_lower():
    controller = make_controller(lead_s=30.0, trend_s=60.0)

    decision = decide(controller, 60.0, [Sample(at, 100.0 - at) for at in range(0, 61, 15)])

    assert decision.forecast_rps == 40


def test_noise_is_no_trend():
    controller = make_controller(lead_s=30.0, trend_s=60.0)
    noisy = [
        Sample(0, 98.0),
        Sample(15, 104.0),
        Sample(30, 96.0),
        Sample(45, 103.0),
        Sample(60, 101),
    ]

    assert decide(controller, 60.0, noisy).forecast_rps == 101


def test_a_forecast_is_at_most_twice_the_rate():
    controller = make_controller(lead_s=600.0, trend_s=60.0)

    decision = decide(controller, 60.0, [Sample(at, 1.0 + at) for at in range(0, 61, 15)])

    assert decision.forecast_rps == pytest.approx(122)


def test_two_samples_are_no_trend():
    controller = make_controller(lead_s=30.0, trend_s=60.0)

    assert decide(controller, 15.0, [Sample(0, 10.0), Sample(15, 90.0)]).forecast_rps == 90


def test_a_lower_rate_shrinks_only_after_the_window():
    controller = make_controller(scale_down_window_s=300.0)
    decide(controller, 300.0, constant(100.0, 0, 300), {B: 2})

    soon = decide(controller, 585.0, constant(10.0, 315, 585), {B: 2})
    later = decide(controller, 615.0, constant(10.0, 600, 615), {B: 2})

    assert wanted(soon) == {B: 2}
    assert "held at 100.0 of the last 300 s" in soon.why
    assert wanted(later) == {B: 1}


def test_without_a_window_a_lower_rate_shrinks_at_once():
    assert wanted(decide(make_controller(), 0.0, [Sample(0.0, 50.0)], {B: 2})) == {B: 1}


def test_no_rate_for_the_whole_window_needs_no_replica():
    controller = make_controller(scale_down_window_s=60.0)

    decision = decide(controller, 60.0, constant(0.0, 0, 60), {B: 2})

    assert decision.wanted == {A: 0, B: 0}


def test_what_is_replaced_stays_until_what_replaces_it_is_ready():
    controller = make_controller()

    started = decide(controller, 0.0, [Sample(0.0, 100.0)], {A: 3}, {A: 3})
    half = decide(controller, 15.0, [Sample(15.0, 100.0)], {A: 3, B: 2}, {A: 3, B: 1})
    whole = decide(controller, 30.0, [Sample(30.0, 100.0)], {A: 2, B: 2}, {A: 2, B: 2})

    assert wanted(started) == {A: 3, B: 2}
    assert wanted(half) == {A: 2, B: 2}
    assert wanted(whole) == {B: 2}


def test_what_is_held_is_said():
    decision = decide(make_controller(), 0.0, [Sample(0.0, 100.0)], {A: 3}, {A: 3})

    assert decision.held == {A: 3}
    assert decision.why.endswith("; 3 of 12x40 stay until what replaces them is Ready")


def test_a_replica_that_never_became_ready_is_not_held():
    decision = decide(make_controller(), 0.0, [Sample(0.0, 100.0)], {A: 3}, {A: 2})

    assert wanted(decision) == {A: 2, B: 2}


def test_a_shape_that_is_no_option_stays_until_the_plan_serves_the_rate():
    controller = make_controller()

    before = decide(controller, 0.0, [Sample(0.0, 50.0)], {C: 4}, {C: 4})
    after = decide(controller, 15.0, [Sample(15.0, 50.0)], {C: 4, B: 1}, {C: 4, B: 1})

    assert wanted(before) == {B: 1, C: 4}
    assert after.wanted == {A: 0, B: 1, C: 0}


def test_a_restart_with_a_range_query_decides_as_before():
    # What was forecast of the peak counts for as long as the peak itself.
    rates = [
        *(Sample(at, 40.0 + at / 5) for at in range(0, 151, 15)),
        *constant(30.0, 165, 300),
    ]
    one, other = (
        make_controller(scale_down_window_s=300.0, lead_s=30.0, trend_s=60.0) for _ in range(2)
    )
    for sample in rates:
        before = decide(one, sample.at_s, [sample], {B: 2})

    after = decide(other, 300.0, rates, {B: 2})

    assert after.wanted == before.wanted
    assert after.planned_rps == before.planned_rps == pytest.approx(76)


def test_a_restart_without_a_past_shrinks_nothing():
    decision = decide(make_controller(scale_down_window_s=300.0), 0.0, [Sample(0.0, 35.0)], {B: 5})

    assert decision.wanted == {A: 0, B: 5}
    assert decision.plan.counts == {B: 1}
    assert decision.why.endswith(
        "4 of 12x60 stay since the rate is known for 0 of the last 300 s only"
    )


def test_a_restart_without_a_past_grows():
    decision = decide(make_controller(scale_down_window_s=300.0), 0.0, [Sample(0.0, 150.0)], {B: 1})

    assert wanted(decision) == {B: 3}


def test_after_a_gap_in_the_rates_nothing_shrinks_for_a_window():
    controller = make_controller(scale_down_window_s=300.0)
    decide(controller, 300.0, constant(100.0, 0, 300), {B: 2})

    back = decide(controller, 900.0, [Sample(900.0, 10.0)], {B: 2})
    known = decide(controller, 1200.0, constant(10.0, 915, 1200), {B: 2, A: 1})

    assert back.wanted[B] == 2
    assert known.wanted == {A: 1, B: 0}


def test_a_gap_within_the_window_is_not_known():
    controller = make_controller(scale_down_window_s=300.0)
    rates = [*constant(10.0, 0, 150), *constant(10.0, 240, 300)]

    decision = decide(controller, 300.0, rates, {B: 2})

    assert decision.wanted[B] == 2
    assert decision.why.endswith("the rate is known for 60 of the last 300 s only")


def test_two_samples_with_nothing_between_are_no_pace():
    controller = make_controller(scale_down_window_s=300.0)

    decision = decide(controller, 300.0, [Sample(0.0, 10.0), Sample(300.0, 10.0)], {B: 2})

    assert decision.wanted[B] == 2


def test_a_slow_pace_of_samples_is_no_gap():
    controller = make_controller(scale_down_window_s=600.0)

    decision = decide(controller, 720.0, constant(10.0, 0, 720, step_s=120), {B: 2})

    assert wanted(decision) == {B: 1}


def test_known_samples_may_come_again_and_in_any_order():
    controller = make_controller(scale_down_window_s=60.0)
    rates = constant(100.0, 0, 60)

    decide(controller, 60.0, rates[::-1], {B: 2})
    decision = decide(controller, 75.0, [*rates, Sample(75.0, 10.0)], {B: 2})

    assert decision.rate_rps == 10
    assert wanted(decision) == {B: 2}


def test_a_controller_that_was_told_nothing_cannot_decide():
    with pytest.raises(ScalingError, match="the offered rate was never told"):
        decide(make_controller(), 0.0, [])


@pytest.mark.parametrize("rate_rps", [-1.0, float("nan"), float("inf")])
def test_a_sample_that_is_no_rate_is_refused(rate_rps):
    with pytest.raises(ValueError, match="must be 0 or more req/s"):
        Sample(0.0, rate_rps)


@pytest.mark.parametrize(
    ("field", "value"), [("headroom", 0.9), ("lead_s", -1.0), ("scale_down_window_s", -1.0)]
)
def test_settings_that_make_no_sense_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        ControllerSettings(**{field: value})
