"""What clients cause is logged a few times a second, and the rest is counted."""

import logging

import pytest

from gshare_modelstore import throttle


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("store", logging.WARNING, "", 0, message, None, None)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the clock, to be set by the test."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_few_of_a_kind_pass_in_a_second(seconds: list[float]) -> None:
    made = throttle.Throttle()

    passed = sum(made.filter(record("event=hung_up")) for _ in range(50))

    assert passed == throttle.MOST_A_SECOND
    assert made.filter(record("event=other"))
    assert seconds == [100.0]


def test_the_next_second_tells_how_many_were_left_out(seconds: list[float]) -> None:
    made = throttle.Throttle()
    for _ in range(50):
        made.filter(record("event=hung_up"))

    seconds[0] += 1
    later = record("event=hung_up")

    assert made.filter(later)
    assert later.msg == "event=hung_up left_out=40"
