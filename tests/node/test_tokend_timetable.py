"""Leases and quotas change under a running token daemon, and disturb nobody else."""

import mmap
import os
import shutil
import time

import pytest
from tests.support.daemon import WINDOW_US, Node, eventually, limits, node
from tests.support.fake_client import FakeClient, dial
from tests.support.saturated import process
from tests.support.small_disk import full, small_disk

from gshare import names, wire
from gshare.runtime.tokend import TokenDaemonError, write_timetable

pytestmark = pytest.mark.timed

A = limits("a", slices=(wire.Slice(0, 40),))
B = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
C = limits("c", sm_percent=10)
LESS = limits("a", quota_request_percent=20, quota_limit_percent=20, slices=(wire.Slice(0, 20),))
WINDOW_S = WINDOW_US / 1e6
SMALL = 256 << 10

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk")


class Connection:
    """A control connection that stays: a new one would have the daemon look at its timetable."""

    def __init__(self, at: Node) -> None:
        self._socket = dial(at.folder, names.FILE_CONTROL_SOCKET)

    def ask(self, request: str) -> str:
        self._socket.send(request.encode())
        return self._socket.recv(1 << 17).decode()


def served(at: Node) -> list[str]:
    return [each.lease_id for each in at.control.stats().leases]


def shares(at: Node, seconds: float) -> dict[str, float]:
    """Measure what each lease gets of the time, in percent."""
    before = at.control.stats()
    time.sleep(seconds)
    after = at.control.stats()
    passed = after.gpu.now_ns - before.gpu.now_ns
    return {
        each.lease_id: 100 * (each.used_ns - before.lease(each.lease_id).used_ns) / passed
        for each in after.leases
    }


@pytest.mark.parametrize(
    ("before", "after", "percent"), [(A, LESS, 20), (LESS, A, 40)], ids=["less", "more"]
)
def test_a_quota_rewritten_live_is_in_force_within_a_window(
    before: wire.Limits, after: wire.Limits, percent: int
) -> None:
    """Nobody tells the daemon; the neighbour keeps all that it was promised."""
    other = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
    pair = node(before, other, window_us=4 * WINDOW_US)
    with pair as at, process(at.lease("a")), process(at.lease("b")):
        assert eventually(lambda: at.control.stats().lease("b").grants > 5, 5)
        known = Connection(at)

        at.write(after, other)

        time.sleep(WINDOW_S)
        line = known.ask("stats").splitlines()[1]
        assert line.startswith(f"lease a sm=60 request={percent} limit={percent} ")
        time.sleep(4 * WINDOW_S)
        got = shares(at, 1.6)
        assert got["a"] == pytest.approx(percent, abs=5)
        assert got["b"] == pytest.approx(60, abs=5)


@needs_root
def test_a_page_that_cannot_get_its_space_is_kept_for_those_who_have_it_mapped() -> None:
    with small_disk(SMALL) as disk, node(A, disk=disk) as at:
        client = FakeClient(at.lease("a"))
        at.daemon.stop()
        page = at.lease("a") / names.FILE_COUNTERS
        os.truncate(page, mmap.PAGESIZE)
        os.truncate(page, wire.COUNTERS_BYTES)

        with full(disk):
            at.daemon.start()
            assert served(at) == []

        assert eventually(lambda: served(at) == ["a"])
        again = client.come_back()
        client.set("waits", 7)
        assert again.get("waits") == 7


def test_a_lease_that_cannot_be_opened_costs_only_itself() -> None:
    with node(A) as at:
        at.write(A, B)
        write_timetable(at.folder, [A, B, C])

        with pytest.raises(TokenDaemonError, match="lease c"):
            at.control.reload()

        assert served(at) == ["a", "b"]
        at.lease("c").mkdir()
        assert eventually(lambda: served(at) == ["a", "b", "c"])


@needs_root
def test_on_a_full_disk_those_who_are_there_are_served_on() -> None:
    with small_disk(SMALL) as disk, node(A, B, disk=disk) as at:
        client = FakeClient(at.lease("a"))
        client.set("memory_bytes", 4096)
        at.daemon.stop()
        at.write(A, B, C)

        with full(disk):
            at.daemon.start()

            assert served(at) == ["a", "b"]
            again = client.come_back()
            again.want()
            again.join()
            assert at.control.stats().lease("a").memory_bytes == 4096
        assert eventually(lambda: served(at) == ["a", "b", "c"])


def test_leases_come_and_go_without_disturbing_a_holder() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.want()
        epoch = client.join()

        at.set(A, B)
        at.set(A)

        assert client.grant.epoch in {0, epoch}
        assert not (at.lease("b") / names.FILE_TOKEN_SOCKET).exists()
        assert [each.lease_id for each in at.control.stats().leases] == ["a"]


def test_a_lease_that_ends_hangs_up_on_its_processes() -> None:
    with node(A, B) as at:
        client = FakeClient(at.lease("b"))

        at.set(A)

        assert client.connection.recv(1) == b""
        at.set(A, B)
        FakeClient(at.lease("b")).want()


def test_a_folder_made_anew_is_served_anew() -> None:
    with node(A) as at:
        FakeClient(at.lease("a")).want()
        shutil.rmtree(at.lease("a"))

        at.set(A)

        client = FakeClient(at.lease("a"))
        client.want()
        client.join()
        assert at.control.stats().lease("a").processes == 1


def test_a_changed_timetable_is_followed_without_being_told() -> None:
    with node(A) as at:
        at.write(A, B)

        assert eventually(lambda: len(at.control.stats().leases) == 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "something else",
        "gshare-timetable 1\nlease a sm=60 request=40 limit=40 slices=0+30\n",
        "gshare-timetable 1\nlease a sm=0 request=40 limit=40 slices=0+40\n",
        "gshare-timetable 1\nlease a sm=60 request=40 limit=30 slices=0+40\n",
        "gshare-timetable 1\nlease a sm=60 request=40 limit=40 slices=80+40\n",
        "gshare-timetable 1\nlease ../a sm=60 request=40 limit=40 slices=0+40\n",
        "gshare-timetable 1\n" + 2 * "lease a sm=60 request=40 limit=40 slices=0+40\n",
    ],
    ids=[
        *("empty", "no timetable", "slices short of the request", "no SMs"),
        *("limit below request", "slices beyond the window", "a path", "twice"),
    ],
)
def test_a_bad_timetable_is_refused_and_changes_nothing(text: str) -> None:
    with node(A) as at:
        (at.folder / names.FILE_TIMETABLE).write_text(text)

        with pytest.raises(TokenDaemonError, match="error"):
            at.control.reload()

        assert [each.lease_id for each in at.control.stats().leases] == ["a"]
