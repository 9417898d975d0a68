"""Arrivals are counted when they come, not when they are answered."""

from gshare_example_server.arrivals import Arrivals


def test_what_waits_for_a_thread_has_arrived() -> None:
    arrivals = Arrivals()
    arrivals.watch(lambda: 5)

    arrivals.begin()

    assert arrivals.total == 6


def test_a_request_that_waited_and_begins_is_counted_once() -> None:
    waiting = [2]
    arrivals = Arrivals()
    arrivals.watch(lambda: waiting[0])
    counted = [arrivals.total]

    for left in (1, 0):
        waiting[0] = left
        arrivals.begin()
        counted.append(arrivals.total)

    assert counted == [2, 2, 2]


def test_the_count_never_falls_where_a_probe_had_waited() -> None:
    waiting = [1]
    arrivals = Arrivals()
    arrivals.watch(lambda: waiting[0])
    before = arrivals.total

    waiting[0] = 0  # the probe is answered: no request began

    assert (before, arrivals.total) == (1, 1)
    arrivals.begin()
    assert arrivals.total == 1
