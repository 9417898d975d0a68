"""Whole replays, and which rows of them are compared."""

import pytest
from benchmarks.scaling import bars, cases
from benchmarks.scaling.replay import Run, replay
from benchmarks.scaling.traces import Pace, Trace
from benchmarks.scaling.ways import Controlled, OneShape, Replanned
from tests.support.profiles import resnet as profile

from gshare import scaling
from gshare.scaling import Shape

PACE = Pace(1.0, 6.0, 1.0, 2.0, 12.0, 15.0, 20.0, 0.0)
OPTIONS = scaling.options(profile(), None, 69)
THIN = Shape(12, 40)
BEST = max(OPTIONS, key=lambda option: option.throughput_rps / option.cost)


def steady(rps=100, seconds=120):
    arrivals = [number / rps for number in range(rps * seconds)]
    return Run(Trace("steady", arrivals, seconds, PACE), profile(), 69)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(lambda: Replanned("exact", OPTIONS), id="planned anew"),
        pytest.param(lambda: Controlled("exact", OPTIONS, PACE), id="controlled"),
        pytest.param(lambda: Controlled("rpr", OPTIONS, PACE), id="controlled by the heuristic"),
        pytest.param(lambda: OneShape(BEST, 20), id="one shape"),
    ],
)
def test_steady_load_is_served_within_the_objective_by_what_was_planned(way):
    row = replay(steady(), way())

    assert row["requests"] == 12_000
    assert row["over_slo_percent"] <= 1
    assert row["pod_starts"] == 0


def test_steady_load_costs_what_the_plan_says():
    row = replay(steady(), Controlled("exact", OPTIONS, PACE))

    planned = scaling.plan("exact", OPTIONS, 125)
    assert row["gpu_share"] == pytest.approx(planned.cost, abs=0.0001)


def test_the_one_replica_of_an_hpas_minimum_costs_too():
    shapes = [option for option in OPTIONS if option.shape in {THIN, BEST.shape}]

    row = replay(steady(rps=90), Controlled("exact", shapes, PACE, kept=THIN))

    planned = scaling.plan("exact", shapes, 112.5)
    assert THIN not in planned.counts
    assert row["gpu_share"] == pytest.approx(planned.cost + 1525 / 16 / 1024, abs=0.0001)


def test_load_that_no_replica_is_ready_for_is_too_slow():
    arrivals = [60 + number / 200 for number in range(200)]
    run = Run(Trace("burst", arrivals, 120, PACE), profile(), 69)

    assert replay(run, OneShape(BEST, 20))["over_slo_percent"] > 50


def test_every_shape_that_keeps_the_objective_has_an_hpa():
    found = list(cases.cases(steady()))

    one_shape = {str(case.way.options[0].shape) for case in found if "HPA" in case.policy}
    assert one_shape == {str(option.shape) for option in OPTIONS}
    assert [case.policy for case in found[:3]] == ["rpr", "rpr + hysteresis", "exact + hysteresis"]
    assert len(found[2].way.options) <= 2


def row(policy, share, over, trace="t"):
    return {"trace": trace, "policy": policy, "gpu_share": share, "over_slo_percent": over}


ROWS = [
    row("exact + hysteresis", 0.5, 1.0),
    row("HPA, one shape", 0.3, 2.0),
    row("HPA, one shape", 0.46, 1.0),
    row("HPA, one shape", 0.6, 0.0),
    row("HPA, whole GPUs", 2.0, 0.0),
    row("HPA, whole GPUs", 0.9, 0.5),
]


def test_the_best_one_shape_is_the_cheapest_of_those_that_serve_as_well():
    assert bars.best_one_shape(ROWS, "t")["gpu_share"] == 0.46


def test_where_none_serves_as_well_it_is_the_one_that_serves_best():
    rows = [row("exact + hysteresis", 0.5, 0.1), *ROWS[1:3]]

    assert bars.best_one_shape(rows, "t")["gpu_share"] == 0.46


def test_the_default_is_judged_beside_one_shape_and_beside_whole_gpus():
    claims = {claim.name: claim for claim in bars.claims_of(ROWS)}

    assert claims["t: GPUs, default over the best one-shape HPA"].value == pytest.approx(1.087)
    assert claims["t: GPUs, default over the best one-shape HPA"].holds
    assert claims["t: GPUs, default over whole GPUs"].value == pytest.approx(0.5556)
    assert not claims["t: GPUs, default over whole GPUs"].holds
