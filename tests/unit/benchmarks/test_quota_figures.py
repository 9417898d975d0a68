"""From counters of a simulated GPU to figures, and from figures to claims."""

import dataclasses

import pytest
from benchmarks.quota import bars, figures
from benchmarks.quota.bars import Bars
from benchmarks.quota.cases import Client
from benchmarks.quota.measure import Run
from benchmarks.quota.plan import named

from gshare_simgpu import Account, GpuCounters

SMS = 40
MS = 1_000_000
CLIENT = Client("a", 50, 20, 1000)


def reading(at_ms, *, busy_ms, client="a", idle_ms=0, over_ms=0):
    account = Account(client, 0, 0, busy_ms * MS * SMS, 0, 0, 0, 0, 0, 0)
    return GpuCounters(
        now_ns=at_ms * MS,
        busy_ns=0,
        kernel_ns=(at_ms - idle_ms) * MS,
        sm_time_ns=0,
        overcommitted_ns=over_ms * MS,
        stalled_ns=0,
        memory_used_bytes=0,
        accounts=(account,),
    )


def test_delivered_is_sm_time_of_the_partition_between_first_and_last_reading():
    readings = [reading(1000, busy_ms=5), reading(1200, busy_ms=45), reading(1400, busy_ms=83)]

    lease = figures.lease_figures(CLIENT, SMS, readings)

    assert lease.delivered == pytest.approx(19.5)
    assert lease.error_points == pytest.approx(-0.5)
    assert lease.stdev_points == pytest.approx(0.5)  # of 20 and 19


def test_a_case_is_as_bad_as_its_worst_lease():
    good = figures.LeaseFigures(CLIENT, 20, 20, 0.1, 0)
    bad = figures.LeaseFigures(CLIENT, 20, 18, 0.2, 0)

    found = figures.case_figures([good, bad], [reading(0, busy_ms=0), reading(100, busy_ms=0)])

    assert found["least_percent"] == 90
    assert found["mean_percent"] == 95
    assert found["error_points"] == 2
    assert found["over_limit_points"] == 0


def test_idle_and_overcommitted_time_are_shares_of_the_measurement():
    readings = [reading(100, busy_ms=0), reading(300, busy_ms=0, idle_ms=20, over_ms=2)]

    found = figures.case_figures([figures.LeaseFigures(CLIENT, 20, 20, 0, 0)], readings)

    assert found["idle_percent"] == pytest.approx(10)
    assert found["overcommitted_percent"] == pytest.approx(1)


def test_a_client_that_wants_less_than_its_quota_is_judged_by_what_it_wants():
    lease = figures.LeaseFigures(CLIENT, 20, 9, 0, 0)
    run = Run(named("alone-10us-sync-q20-sm50")[0], (lease,), lease.figures())

    wanting = run.demanding(10)

    assert wanting.is_bound_by_demand
    assert wanting.figures["least_percent"] == 90
    assert run.demanding(21) is run


def test_a_light_lease_is_owed_no_share():
    light = dataclasses.replace(CLIENT, workload="light", limit_percent=100)

    found = figures.LeaseFigures(light, 20, 5, 0, 0).figures()

    assert "least_percent" not in found
    assert "over_limit_points" not in found


def test_waits_are_read_from_what_the_client_printed():
    said = "".join(f"{wait * MS} {6 * MS}\n" for wait in range(1, 101))

    found = figures.wait_figures(said)

    assert (found["wait_p50_ms"], found["wait_p99_ms"], found["wait_max_ms"]) == (50, 99, 100)
    assert figures.wait_figures("") == {}


def test_a_topic_is_judged_by_the_case_that_is_worst_beside_its_bar():
    strict, lax = Bars(error_points=0.25), Bars(error_points=2.0)
    results = [(strict, {"error_points": 0.3}), (lax, {"error_points": 1.9})]

    (claim,) = bars.claims("topic", results)

    assert (claim.value, claim.bar, claim.holds) == (0.3, "<= 0.25", False)


def test_the_least_share_is_judged_from_below():
    results = [(Bars(least_percent=98), {"least_percent": each}) for each in (99.0, 98.5)]

    (claim,) = bars.claims("topic", results)

    assert claim.value == 98.5
    assert claim.holds


def test_the_median_of_the_runs_counts():
    runs = [{"least_percent": each} for each in (90.0, 99.0, 98.0)]

    assert figures.medians(runs) == {"least_percent": 98.0}
