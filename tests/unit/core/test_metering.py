"""Who meters what: a simulator counts time and memory, the token daemon what is shared."""

from gshare.runtime.metering import Delivered, Reading, by_daemon, with_shared
from gshare.runtime.tokend import GpuStats, LeaseStats, Stats

TIMES = dict.fromkeys(("used_ns", "busy_ns", "reserved_ns", "borrowed_ns"), 7)
COUNTS = dict.fromkeys(("grants", "waits", "processes", "host_bytes", "memory_bytes"), 5)
SHAPE = {"sm_percent": 10, "quota_request_percent": 20, "quota_limit_percent": 30}


def stats(**shared_bytes):
    """Return what a token daemon says of leases that map so much of others' memory."""
    leases = [
        LeaseStats(
            lease_id=key, holds=False, wants=False, imported_bytes=size, **TIMES, **COUNTS, **SHAPE
        )
        for key, size in shared_bytes.items()
    ]
    return Stats(GpuStats(1000, 40_000, 10, 3, 0, 0), tuple(leases))


def test_a_daemon_tells_what_its_leases_share():
    assert by_daemon(stats(a=64), sm_count=80).leases["a"] == Delivered(7, 5, 64)


def test_a_simulators_counts_stay_as_they_are_beside_what_is_shared():
    reading = Reading(9, 8, 7, {"a": Delivered(6, 5), "b": Delivered(4, 3)})

    found = with_shared(reading, stats(a=64, c=0))

    assert (found.now_ns, found.busy_ns, found.sm_time_ns) == (9, 8, 7)
    assert found.leases == {"a": Delivered(6, 5, 64), "b": Delivered(4, 3), "c": Delivered(0, 0, 0)}


def test_without_a_daemon_nobody_tells_what_is_shared():
    reading = Reading(9, 8, 7, {"a": Delivered(6, 5)})

    assert with_shared(reading, None) == reading
