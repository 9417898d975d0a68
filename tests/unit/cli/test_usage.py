"""Means between two snapshots of counters."""

from gshare_cli import usage
from gshare_cli.usage import GpuCounters, LeaseCounters, Snapshot

SECOND_NS = 10**9


def snapshot(now_ns: int, busy_ns: int, sm_time_ns: int, **leases: int) -> Snapshot:
    counted = tuple(LeaseCounters(lease_id, busy) for lease_id, busy in leases.items())
    return Snapshot((GpuCounters("GPU-0", "V100", 80, now_ns, busy_ns, sm_time_ns, 98, counted),))


def test_delivered_time_is_a_share_of_the_time_that_passed() -> None:
    before = snapshot(SECOND_NS, 0, 0, a=SECOND_NS)
    after = snapshot(3 * SECOND_NS, 0, 0, a=SECOND_NS + SECOND_NS // 2)

    assert usage.between(before, after).delivered_percent == {"a": 25.0}


def test_a_lease_made_in_between_counts_from_nothing() -> None:
    before, after = snapshot(0, 0, 0), snapshot(SECOND_NS, 0, 0, a=SECOND_NS // 10)

    assert usage.between(before, after).delivered_percent == {"a": 10.0}


def test_occupancy_is_a_share_of_all_sms() -> None:
    before, after = snapshot(0, 0, 0), snapshot(SECOND_NS, SECOND_NS, 40 * SECOND_NS)

    measured = usage.between(before, after)

    assert measured.mean_utilisation_percent() == 100
    assert measured.mean_sm_occupancy_percent() == 50
    assert measured.max_concurrent_sm_percent() == 98


def test_no_time_gives_no_figures() -> None:
    assert usage.between(snapshot(5, 0, 0), snapshot(5, 0, 0)).gpus == ()
