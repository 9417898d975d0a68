"""Restart policy and back-off."""

import pytest

from gshare_cli.restarts import LONGEST_PAUSE_S, PROVED_AFTER_S, BackOff, starts_again


def test_the_pause_doubles_from_one_second() -> None:
    back_off = BackOff()
    pauses = []

    for _ in range(4):
        back_off = back_off.after_end(ran_s=0.1)
        pauses.append(back_off.pause_s)

    assert pauses == [1, 2, 4, 8]


def test_the_pause_ends_at_five_minutes() -> None:
    back_off = BackOff()

    for _ in range(100):
        back_off = back_off.after_end(ran_s=0.1)

    assert back_off.pause_s == LONGEST_PAUSE_S


def test_a_long_run_counts_as_proved() -> None:
    assert BackOff(7).after_end(PROVED_AFTER_S).pause_s == 1


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        pytest.param("Always", 0, True, id="always, ended well"),
        pytest.param("OnFailure", 0, False, id="on failure, ended well"),
        pytest.param("OnFailure", 1, True, id="on failure, ended badly"),
        pytest.param("Never", 1, False, id="never, ended badly"),
    ],
)
def test_the_restart_policy_decides(policy: str, code: int, expected: bool) -> None:  # noqa: FBT001
    assert starts_again(policy, code) is expected
