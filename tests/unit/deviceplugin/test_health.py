"""What takes a GPU out of the inventory, and what takes it back."""

import pytest

from gshare_deviceplugin import health
from gshare_deviceplugin.health import Health, Look

QUIET_S = 300.0
WELL = Look()
AWAY = Look(problem="GPU is lost")


def looked(known: Health, *looks: tuple[float, Look]) -> Health:
    for now_s, look in looks:
        known = health.after_look(known, look, now_s, QUIET_S)
    return known


@pytest.mark.parametrize("xid", sorted(health.APPLICATION_XIDS))
def test_a_fault_of_the_application_leaves_the_gpu_well(xid: int) -> None:
    assert health.after_xid(Health(), xid, 10) == Health()


@pytest.mark.parametrize("xid", [48, 63, 74, 79, 94, 999])
def test_any_other_fault_takes_the_gpu_out_with_its_number(xid: int) -> None:
    known = health.after_xid(Health(), xid, 10)

    assert not known.is_healthy
    assert f"XID {xid}" in known.note


def test_a_gpu_is_taken_back_after_the_quiet_time_and_not_before() -> None:
    known = health.after_xid(Health(), 94, 10)

    assert not looked(known, (100, WELL), (309.9, WELL)).is_healthy
    assert looked(known, (100, WELL), (310, WELL)) == Health()


def test_a_new_fault_begins_the_quiet_time_anew() -> None:
    known = health.after_xid(health.after_xid(Health(), 94, 10), 74, 200)

    assert not looked(known, (310, WELL)).is_healthy
    assert looked(known, (500, WELL)).is_healthy


def test_a_fault_that_needs_a_reset_outlasts_any_quiet() -> None:
    known = health.after_xid(Health(), 79, 10)

    assert looked(known, (10_000, WELL)).note == "XID 79 (fell off the bus); needs a reset"


def test_a_gpu_that_was_away_counts_as_reset_and_is_watched_for_the_quiet_time() -> None:
    known = looked(health.after_xid(Health(), 79, 10), (1000, AWAY), (1001, WELL))

    assert not known.is_healthy
    assert looked(known, (1300, WELL)).is_healthy


def test_a_driver_that_tells_what_is_to_do_is_believed() -> None:
    known = health.after_xid(Health(), 48, 10)
    told = looked(known, (400, Look(must_reset=True)))

    assert looked(told, (9_000, Look(must_reset=True))).needs_reset
    assert looked(told, (9_001, Look(must_reset=False))).is_healthy


def test_a_driver_that_asks_for_a_reset_takes_a_gpu_out_without_a_fault() -> None:
    assert looked(Health(), (5, Look(must_reset=True))).note.startswith("the driver asks")


def test_a_silent_gpu_is_out_as_long_as_it_is_silent() -> None:
    silent = looked(Health(), (5, AWAY))

    assert silent.note == "NVML: GPU is lost"
    assert looked(silent, (6, WELL)).is_healthy


def test_a_gpu_with_mig_is_well_and_of_no_use() -> None:
    known = looked(Health(), (5, Look(unusable="MIG is on")))

    assert (known.is_healthy, known.note) == (False, "MIG is on")
    assert looked(known, (6, WELL)).is_healthy


def test_a_fault_outlives_a_restart() -> None:
    known = {"GPU-1": health.after_xid(Health(), 79, 10), "GPU-2": Health()}

    assert health.decode(health.encode(known)) == {"GPU-1": known["GPU-1"]}


@pytest.mark.parametrize("raw", [None, [], {"GPU-1": {"odd": 1}}, {"GPU-1": 3}])
def test_what_was_not_written_by_us_is_forgotten(raw: object) -> None:
    assert health.decode(raw) == {}
