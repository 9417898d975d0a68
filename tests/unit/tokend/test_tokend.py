"""The Python side of the token daemon, without one."""

from pathlib import Path

import pytest
from tests.support.daemon import limits

from gshare import names, wire
from gshare.errors import GshareError
from gshare.runtime import tokend

GPU = "gpu now_ns=5 window_us=40000 max_concurrent_sm_percent=98 grants=3 slips=1 late_ns_max=77"
LEASE = (
    "lease a sm=12 request=40 limit=60 used_ns=9 busy_ns=8 reserved_ns=7 borrowed_ns=2 grants=3 "
    "waits=4 holds=1 wants=0 processes=2 memory_bytes=4096 host_bytes=512 imported_bytes=64"
)


class Answering(tokend.Control):
    """A control socket whose answer is known."""

    __slots__ = ()
    answer = f"{GPU} new=1\n{LEASE}\n"

    def _exchange(self, request: str) -> str:  # noqa: ARG002 (whatever is asked)
        return self.answer


class Silent(Answering):
    """A daemon that hangs up."""

    __slots__ = ()
    answer = ""


def test_counters_are_read_with_their_units_and_unknown_ones_skipped() -> None:
    stats = Answering(Path("gpu")).stats()

    assert stats.gpu == tokend.GpuStats(5, 40000, 98, 3, 1, 77)
    assert stats.lease("a") == tokend.LeaseStats(
        *("a", 12, 40, 60, 9, 8, 7, 2, 3, 4, True, False, 2, 4096, 512, 64)
    )


def test_a_lease_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        Answering(Path("gpu")).stats().lease("nobody")


def test_a_daemon_that_hangs_up_is_an_error() -> None:
    with pytest.raises(tokend.TokenDaemonError, match="hung up"):
        Silent(Path("gpu")).ping()


def test_a_daemon_that_is_away_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(GshareError, match="No such file"):
        tokend.Control(tmp_path).ping()


def test_a_timetable_names_each_lease_on_a_line(tmp_path: Path) -> None:
    two = (wire.Slice(0, 30), wire.Slice(60, 10))

    tokend.write_timetable(tmp_path, [limits("a"), limits("b", slices=two)])

    assert (tmp_path / names.FILE_TIMETABLE).read_text().splitlines() == [
        "gshare-timetable 1",
        "lease a sm=60 request=40 limit=40 slices=0+40",
        "lease b sm=60 request=40 limit=40 slices=0+30,60+10",
    ]
    assert [each.name for each in tmp_path.iterdir()] == [names.FILE_TIMETABLE]


def test_counters_are_absent_while_the_daemon_is_away(tmp_path: Path) -> None:
    assert Silent(tmp_path).try_stats() is None
    assert tokend.Control(tmp_path).try_stats() is None
    assert Answering(tmp_path).try_stats() == Answering(tmp_path).stats()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sm_percent": 0}, "sm_percent 0"),
        ({"quota_limit_percent": 30}, "limit 30"),
        ({"slices": ()}, "0 slices"),
        ({"slices": (wire.Slice(0, 30),)}, "add up"),
        ({"lease_id": "a" * 40}, "1-39 bytes"),
        ({"gpu_uuid": ""}, "1-47 bytes"),
    ],
    ids=["no SMs", "limit below request", "no slices", "slices short", "a long id", "no GPU"],
)
def test_impossible_limits_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        limits(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "width"), [(-1, 10), (0, 0), (95, 6)])
def test_a_slice_outside_the_window_is_refused(start: int, width: int) -> None:
    with pytest.raises(ValueError, match="within 0-100"):
        wire.Slice(start, width)


def test_counters_add_up_over_processes() -> None:
    counters = wire.Counters((wire.Slot(pid=7, memory_bytes=3), wire.Slot(memory_bytes=4)))

    assert counters.memory_bytes == 7
    assert counters.processes == 1
