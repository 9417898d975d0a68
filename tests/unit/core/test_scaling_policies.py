"""What shapes cost, and which counts of them each policy plans."""

from dataclasses import replace

import pytest
from tests.support.profiles import GIB, make_option, make_point, make_profile, resnet

from gshare import scaling
from gshare.scaling import NoShapeError, ScalingError, Shape, exact

A, B, C = Shape(12, 100), Shape(12, 60), Shape(6, 20)


def _priced():
    """Return the options of the worked example in `exact`."""
    return [make_option(12, 100, 50.0, 0.12), make_option(12, 60, 35.0, 0.09)]


def test_a_replica_costs_its_area_where_that_is_the_larger_part():
    (option,) = scaling.options(make_profile(make_point(50, 40, memory_bytes=GIB)))

    assert option.cost == pytest.approx(0.2)


def test_a_replica_costs_its_memory_where_that_is_the_larger_part():
    (option,) = scaling.options(make_profile(make_point(6, 20, memory_bytes=2 * GIB)))

    assert option.cost == pytest.approx(2 / 16)


def test_memory_that_a_deployment_asks_is_priced_in_place_of_the_measured():
    profile = make_profile(make_point(6, 20, memory_bytes=GIB))

    judged = scaling.judge(profile, [C], None, {C: 4 * GIB})

    assert judged.options[0].cost == pytest.approx(4 / 16)


def test_options_keep_the_slo():
    profile = make_profile(make_point(12, 60, 35.0, 70.0), make_point(12, 100, 50.0, 69.0))

    assert [option.shape for option in scaling.options(profile, None, 69)] == [A]


def test_an_slo_that_no_shape_keeps_names_the_nearest():
    profile = make_profile(make_point(12, 60, 35.0, 90.0), make_point(12, 100, 50.0, 75.5))

    with pytest.raises(NoShapeError) as caught:
        scaling.options(profile, None, 69)

    assert str(caught.value) == (
        "resnet: no shape keeps the SLO of 69 ms: the nearest is 12x100 (SM x quota) "
        "with a p99 of 75.5 ms"
    )


def test_a_shape_outside_the_profile_is_refused_and_the_others_are_judged():
    judged = scaling.judge(resnet(), [Shape(12, 40), Shape(50, 40), Shape(12, 10)], 69)

    assert [option.shape for option in judged.options] == [Shape(12, 40)]
    text = "lies outside the points of the profile (SM 6-24, quota 20-100)"
    assert judged.refused == {Shape(50, 40): text, Shape(12, 10): text}


def test_shapes_that_all_lie_outside_the_profile_are_said():
    with pytest.raises(NoShapeError) as caught:
        scaling.options(resnet(), [Shape(50, 40)], 69)

    assert str(caught.value) == ("resnet: no shape lies within its profile: SM 6-24, quota 20-100")


@pytest.mark.parametrize(
    "make",
    [lambda: Shape(0, 40), lambda: Shape(12, 101), lambda: make_option(throughput_rps=0.0)],
    ids=["no SMs", "more than all time", "serves nothing"],
)
def test_values_that_make_no_sense_cannot_exist(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_a_shape_between_points_says_so():
    (option,) = scaling.options(resnet(), [Shape(12, 50)])

    assert option.origin == "interpolated"
    assert option.throughput_rps == pytest.approx((35 + 46) / 2)


def test_rpr_is_throughput_over_the_part_of_the_gpu():
    assert make_option(6, 20, 13.5).rpr == pytest.approx(1125)
    assert make_option(12, 40, 35).rpr == pytest.approx(729.17, abs=0.01)


def test_rpr_fills_the_gap_with_the_highest_rpr_and_the_rest_with_the_smallest_sufficient():
    options = [make_option(6, 20, 13.5), make_option(12, 40, 35.0), make_option(3, 20, 5.0)]

    found = scaling.plan("rpr", options, 30.0)

    # 2 of 6x20 serve 27; of 3.0 left, 5.0 is the smallest throughput above.
    assert found.counts == {Shape(6, 20): 2, Shape(3, 20): 1}


def test_rpr_adds_only_the_gap_to_what_runs():
    options = [make_option(6, 20, 13.5), make_option(12, 40, 35.0)]

    found = scaling.plan("rpr", options, 80.0, {Shape(12, 40): 2})

    assert found.counts == {Shape(12, 40): 2, Shape(6, 20): 1}


def test_rpr_removes_the_lowest_rpr_first():
    options = [make_option(6, 20, 13.5), make_option(12, 40, 35.0)]

    found = scaling.plan("rpr", options, 27.0, {Shape(6, 20): 2, Shape(12, 40): 1})

    assert found.counts == {Shape(6, 20): 2}


def test_rpr_stops_at_the_first_replica_that_is_larger_than_the_surplus():
    options = [make_option(6, 20, 13.5), make_option(12, 40, 35.0)]

    found = scaling.plan("rpr", options, 42.0, {Shape(6, 20): 2, Shape(12, 40): 1})

    assert found.counts == {Shape(6, 20): 2, Shape(12, 40): 1}


def test_exact_finds_the_mix_of_the_worked_example():
    found = scaling.plan("exact", _priced(), 120.0)

    assert found.counts == {A: 1, B: 2}
    assert found.cost == pytest.approx(0.30)
    assert found.capacity_rps == pytest.approx(120)


def test_exact_takes_the_dominant_share_into_account_where_rpr_does_not():
    options = scaling.options(resnet(), None, 200)

    by_rpr = scaling.plan("rpr", options, 100.0)
    best = scaling.plan("exact", options, 100.0)

    assert by_rpr.counts == {C: 8}
    assert best.cost < by_rpr.cost / 3


def test_exact_keeps_what_runs_where_the_gain_is_not_worth_the_starts():
    options = [make_option(12, 100, 50.0, 0.100), make_option(12, 60, 50.0, 0.095)]

    assert scaling.plan("exact", options, 100.0, {A: 2}).counts == {A: 2}
    assert scaling.plan("exact", options, 100.0).counts == {B: 2}


def test_exact_leaves_what_runs_where_the_gain_is_worth_the_starts():
    options = [make_option(12, 100, 50.0, 0.100), make_option(12, 60, 50.0, 0.085)]

    assert scaling.plan("exact", options, 100.0, {A: 2}).counts == {B: 2}


def test_of_mixes_of_equal_cost_the_fewest_replicas_are_taken():
    options = [make_option(12, 100, 50.0, 0.10), make_option(12, 50, 25.0, 0.05)]

    assert scaling.plan("exact", options, 100.0).counts == {A: 2}


def test_pruning_leaves_out_what_another_option_serves_for_no_more():
    dear = make_option(24, 60, 35.0, 0.144)
    options = [*_priced(), dear]

    assert [each.shape for each in exact.pruned(options, {})] == [A, B]
    assert dear in exact.pruned(options, {dear.shape: 1})


def test_rpr_removes_the_last_replica_too_where_sums_round():
    # 3 * 0.85 - 0.85 - 0.85 is a little less than 0.85.
    assert scaling.plan("rpr", [make_option(12, 20, 0.85)], 0.0, {Shape(12, 20): 3}).counts == {}


def test_no_rate_needs_nothing():
    assert scaling.plan("exact", _priced(), 0.0, {A: 3}).counts == {}
    assert scaling.plan("rpr", _priced(), 0.0, {A: 3}).counts == {}


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_a_shape_that_runs_and_is_no_option_serves_nothing(policy):
    found = scaling.plan(policy, _priced(), 35.0, {Shape(6, 20): 10})

    assert found.counts == {B: 1}


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_a_rate_of_exactly_whole_replicas_needs_no_more(policy):
    assert scaling.plan(policy, [make_option(12, 40, 0.1)], 0.3).counts == {Shape(12, 40): 3}


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_a_rate_of_a_million_replicas_is_planned(policy):
    found = scaling.plan(policy, _priced(), 50_000_000.0)

    assert found.capacity_rps >= 50_000_000 * (1 - 1e-9)


@pytest.mark.parametrize(
    ("policy", "rate_rps", "options", "text"),
    [
        ("best", 1.0, _priced(), "policy 'best': must be one of exact, rpr"),
        ("exact", -1.0, _priced(), "rate -1.0: must be 0 or more requests per second"),
        ("exact", float("nan"), _priced(), "rate nan: must be 0 or more requests per second"),
        ("rpr", 5.0, [], "rate 5: there is no shape to serve it with"),
    ],
    ids=["unknown policy", "negative rate", "no number", "nothing to choose from"],
)
def test_what_cannot_be_planned_is_said_in_one_line(policy, rate_rps, options, text):
    with pytest.raises(ScalingError) as caught:
        scaling.plan(policy, options, rate_rps)

    assert str(caught.value) == text


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_beyond_the_most_replicas_of_a_shape_others_serve(policy):
    """Of the cheaper two are allowed: 140 req/s are left for the other, which has 50 each."""
    options = [
        make_option(12, 100, 50.0, 0.12),
        replace(make_option(12, 60, 35.0, 0.05), most=2),
    ]

    plan = scaling.plan(policy, options, 210.0)

    assert plan.counts == {B: 2, A: 3}
    assert "maxReplicas allows no more of 12x60" in plan.why


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_a_plan_that_no_bound_allows_is_as_much_as_there_may_be(policy):
    options = [replace(option, most=1) for option in _priced()]

    plan = scaling.plan(policy, options, 500.0)

    assert plan.counts == {A: 1, B: 1}
    assert "serves 85.0 req/s, 500.0 are needed" in plan.why


def test_replicas_that_are_there_anyway_are_counted_on():
    """One of the dearer is kept by its HPA: one of the other is enough beside it."""
    options = [replace(option, least=int(option.shape == B)) for option in _priced()]

    plan = scaling.plan(scaling.EXACT, options, 80.0)

    assert plan.counts == {A: 1, B: 1}


@pytest.mark.parametrize("policy", scaling.POLICIES)
def test_replicas_that_are_there_anyway_are_planned_at_no_rate(policy):
    options = [replace(option, least=1) for option in _priced()]

    assert scaling.plan(policy, options, 0.0).counts == {A: 1, B: 1}


def test_exact_finds_the_cheapest_mix_within_bounds():
    """Two of the cheaper and one of the other would do too, for more than one of the other."""
    options = [make_option(24, 100, 75.0, 0.24), replace(make_option(12, 60, 35.0, 0.07), most=2)]

    plan = scaling.plan(scaling.EXACT, options, 75.0)

    assert plan.counts == {Shape(24, 100): 1}


def test_a_shape_that_is_bounded_leaves_no_other_out():
    options = [replace(make_option(12, 60, 35.0, 0.07), most=1), make_option(6, 60, 30.0, 0.08)]

    plan = scaling.plan(scaling.EXACT, options, 60.0)

    assert plan.counts == {B: 1, Shape(6, 60): 1}


def test_bounds_that_leave_no_count_are_refused():
    with pytest.raises(ValueError, match="12x60: 2 to 1 replicas"):
        replace(make_option(12, 60, 35.0), least=2, most=1)
