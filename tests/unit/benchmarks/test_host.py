"""What a host does to a measurement."""

import ctypes

from benchmarks import host

PR_GET_TIMERSLACK = 30


def test_a_wake_up_takes_microseconds_and_leaves_the_timers_as_they_were():
    libc = ctypes.CDLL(None)
    before = libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0)

    late_us = host.wake_up_us()

    assert 0 < late_us < 20_000
    assert libc.prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == before
