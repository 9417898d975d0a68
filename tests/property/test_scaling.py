"""Plans: exact is optimal and never dearer than rpr; a decision never breaks what serves."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gshare import scaling
from gshare.scaling import Controller, ControllerSettings, Option, Sample, Shape

SHAPES = st.builds(
    Shape, st.sampled_from([6, 12, 24, 50, 60, 80, 100]), st.sampled_from([20, 40, 60, 80, 100])
)
RATES = st.one_of(st.just(0.0), st.floats(0.01, 50), st.floats(0.01, 500))
COUNTS = st.dictionaries(SHAPES, st.integers(0, 6), max_size=3)


@st.composite
def option_lists(draw: st.DrawFn) -> list[Option]:
    """Draw a small profile: saturating in SM, about linear in quota, uneven, with memory."""
    shapes = draw(st.lists(SHAPES, min_size=1, max_size=7, unique=True))
    level_rps, saturation = draw(st.floats(5, 200)), draw(st.sampled_from([10, 25, 60, 100]))
    return [
        Option(
            shape,
            level_rps
            * min(1.0, shape.sm_percent / saturation)
            * (shape.quota_percent / 100)
            * draw(st.floats(0.85, 1.15)),
            50.0,
            1,
            max(shape.area / 10_000, draw(st.sampled_from([0.001, 0.05, 0.1, 0.16]))),
        )
        for shape in shapes
    ]


def cheapest(options: list[Option], rate_rps: float) -> float:
    """Return the least cost of any counts of any one or two options, by trying them all.

    Infinite where none is within their upper bounds.
    """
    found = [
        count * first.cost + rest * second.cost
        for first, second in itertools.product(options, repeat=2)
        for count in range(int(min(_enough(rate_rps, first), first.room)) + 1)
        for rest in [max(0, _enough(rate_rps - count * first.throughput_rps, second))]
        if rest <= (second.room if second is not first else first.room - count)
    ]
    return min(found, default=math.inf)


def _enough(rate_rps: float, option: Option) -> int:
    return math.ceil(rate_rps / option.throughput_rps)


@given(option_lists(), RATES)
@settings(max_examples=1000, deadline=None)
def test_exact_is_the_cheapest_mix_of_two_shapes(options, rate_rps):
    """No counts of one or two options that serve the rate cost less; the plan serves it."""
    found = scaling.plan("exact", options, rate_rps)

    assert found.cost == pytest.approx(cheapest(options, rate_rps * (1 - 1e-9)))
    assert found.capacity_rps >= rate_rps - 1e-6
    assert len(found.counts) <= 2


@given(option_lists(), RATES, st.randoms(use_true_random=False))
@settings(max_examples=500, deadline=None)
def test_plans_keep_within_bounds_and_exact_is_the_cheapest_there(options, rate_rps, random):
    """What serves the rate within upper bounds is found; where no two can, all that may be is."""
    most = [random.choice([None, 1, 2, 5]) for _ in options]
    bounded = [replace(each, most=bound) for each, bound in zip(options, most, strict=True)]
    best = cheapest(bounded, rate_rps * (1 - 1e-9))

    for policy in scaling.POLICIES:
        found = scaling.plan(policy, bounded, rate_rps)

        assert all(found.counts.get(each.shape, 0) <= each.room for each in bounded)
        is_all = all(found.counts.get(each.shape, 0) == each.room for each in bounded)
        assert found.capacity_rps >= rate_rps - 1e-6 or is_all
        assert policy != "exact" or math.isinf(best) or found.cost == pytest.approx(best)


@given(option_lists(), RATES, COUNTS, st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_replicas_that_are_there_anyway_are_part_of_every_plan(options, rate_rps, running, least):
    kept = [replace(each, least=least if index else 0) for index, each in enumerate(options)]

    for policy in scaling.POLICIES:
        found = scaling.plan(policy, kept, rate_rps, running)

        assert all(found.counts.get(each.shape, 0) >= each.least for each in kept)
        assert found.capacity_rps >= rate_rps - 1e-6


@given(option_lists(), RATES, COUNTS, st.sampled_from([0.0, 0.1, 0.5, 2.0]))
@settings(max_examples=500, deadline=None)
def test_exact_never_costs_more_than_rpr(options, rate_rps, running, start):
    """From nothing and from any start of which rpr keeps at most two shapes."""
    for before in ({}, running):
        best = scaling.plan("exact", options, rate_rps, before, start=start)
        other = scaling.plan("rpr", options, rate_rps, before)

        assert other.capacity_rps >= rate_rps - 1e-6
        assert best.capacity_rps >= rate_rps - 1e-6
        assert best.cost <= other.cost + 1e-6 or len(other.counts) > 2


@given(option_lists(), RATES, COUNTS)
@settings(max_examples=200, deadline=None)
def test_a_plan_that_runs_is_kept(options, rate_rps, running):
    """Asked again, with its own answer running, `exact` answers the same.

    So does `rpr` once it has removed what its own last replica made superfluous: it fills the gap
    with its best shape and one more, and only looks at what ran before when it next removes.
    """
    found = scaling.plan("exact", options, rate_rps, running)
    assert scaling.plan("exact", options, rate_rps, found.counts).counts == found.counts

    grown = scaling.plan("rpr", options, rate_rps, running).counts
    settled = scaling.plan("rpr", options, rate_rps, grown).counts
    assert all(count <= grown[shape] for shape, count in settled.items())
    assert scaling.plan("rpr", options, rate_rps, settled).counts == settled


@given(
    option_lists(),
    st.lists(RATES, min_size=1, max_size=12),
    st.sampled_from([0.0, 45.0, 300.0]),
    st.sampled_from(["exact", "rpr"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_a_decision_never_breaks_what_serves(options, rates, window_s, policy, random):
    """Ready replicas that serve the planned rate still do after the decision, each step.

    Pods become Ready in any order and any number at a time; what is scaled down goes at once.
    """
    controller = Controller(ControllerSettings(policy=policy, scale_down_window_s=window_s))
    served = {option.shape: option.throughput_rps for option in options}
    running: dict[Shape, int] = {}
    ready: dict[Shape, int] = {}
    for step, rate_rps in enumerate(rates):
        now_s = 15.0 * step
        decision = controller.decide(now_s, [Sample(now_s, rate_rps)], running, ready, options)
        left = {shape: min(count, decision.wanted[shape]) for shape, count in ready.items()}
        left_rps = sum(served[shape] * count for shape, count in left.items())

        assert left_rps >= min(decision.planned_rps, decision.capacity_rps) - 1e-6

        running = dict(decision.wanted)
        ready = {
            shape: random.randint(left.get(shape, 0), count) for shape, count in running.items()
        }
