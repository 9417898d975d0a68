"""Readiness, counted against the thresholds of Kubernetes."""

from gshare.workload import Probe, TcpSocket
from gshare_cli.probes import IMPATIENT_PERIOD_S, Readiness

PROBE = Probe(TcpSocket(8080), period_seconds=10, success_threshold=2, failure_threshold=3)


def after(readiness: Readiness, outcomes: str) -> Readiness:
    """Return the readiness after successes ("+") and failures ("-")."""
    for outcome in outcomes:
        readiness = readiness.after(outcome == "+", PROBE)
    return readiness


def test_a_container_is_ready_after_as_many_successes_as_the_threshold() -> None:
    assert not after(Readiness(), "+").is_ready
    assert after(Readiness(), "++").is_ready


def test_a_failure_starts_the_count_of_successes_again() -> None:
    assert not after(Readiness(), "+-+").is_ready


def test_a_ready_container_stays_ready_until_the_failure_threshold() -> None:
    ready = Readiness(is_ready=True)

    assert after(ready, "--").is_ready
    assert not after(ready, "---").is_ready
    assert after(ready, "--+--").is_ready


def test_a_container_that_is_not_ready_is_asked_sooner_than_its_period() -> None:
    assert Readiness(is_ready=False).pause_s(PROBE) == IMPATIENT_PERIOD_S
    assert Readiness(is_ready=True).pause_s(PROBE) == 10
