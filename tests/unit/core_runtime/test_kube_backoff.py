"""How long a failing request waits for its next try."""

import pytest

from gshare.runtime.kube.backoff import Backoff, Pace

PACE = Pace(first_s=1, longest_s=8, steady_s=10)


def test_waits_double_up_to_the_longest():
    backoff = Backoff(PACE, lambda: 1.0)

    assert [backoff.after(0) for _ in range(6)] == [1, 2, 4, 8, 8, 8]


def test_waits_lie_in_the_upper_half():
    backoff = Backoff(PACE, lambda: 0.0)

    assert [backoff.after(0) for _ in range(4)] == [0.5, 1, 2, 4]


def test_a_try_that_lived_long_is_a_success():
    backoff = Backoff(PACE, lambda: 1.0)
    for _ in range(5):
        backoff.after(0)

    assert backoff.after(10) == 1
    assert backoff.after(0) == 2


def test_grants_what_the_server_asks_for_within_reason():
    backoff = Backoff(PACE, lambda: 1.0)

    assert backoff.after(0, 5) == 5
    assert backoff.after(0, 1000) == 48
    assert backoff.after(0, 0) == 4


def test_never_overflows():
    backoff = Backoff(PACE, lambda: 1.0)

    assert {backoff.after(0) for _ in range(2000)} == {1, 2, 4, 8}


def test_refuses_a_first_wait_longer_than_the_longest():
    with pytest.raises(ValueError, match="first_s"):
        Pace(first_s=2, longest_s=1)
