"""A token daemon ends, is killed, or starts twice; its clients find it again."""

import os
import signal
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.daemon import WINDOW_US, Node, eventually, limits, native, node
from tests.support.fake_client import FakeClient
from tests.support.saturated import process

from gshare import names, wire
from gshare.runtime.tokend import TokenDaemonError, write_timetable

pytestmark = pytest.mark.timed

A = limits("a", slices=(wire.Slice(0, 40),))
GREEDY = limits("a", quota_limit_percent=100, slices=(wire.Slice(0, 40),))
B = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
WINDOW_S = WINDOW_US / 1e6
LONG_US = 5 * WINDOW_US


def replace_killed(at: Node) -> None:
    """Kill the daemon, and start its successor."""
    assert at.daemon.pid is not None
    os.kill(at.daemon.pid, signal.SIGKILL)
    assert eventually(lambda: not at.daemon.is_alive())
    at.daemon.start()


def test_a_daemon_killed_under_load_costs_nobody_more_than_a_window() -> None:
    with node(A, B) as at, process(at.lease("a")), process(at.lease("b")):
        assert eventually(lambda: at.control.stats().lease("b").grants > 5, 5)

        replace_killed(at)

        began = at.control.stats().gpu.now_ns
        time.sleep(1)
        stats = at.control.stats()
        passed = (stats.gpu.now_ns - began) / 1e9
        assert stats.lease("a").used_ns / 1e9 > 0.4 * (passed - 2 * WINDOW_S)
        assert stats.lease("b").used_ns / 1e9 > 0.6 * (passed - 2 * WINDOW_S)
        assert stats.gpu.max_concurrent_sm_percent == 60


def test_a_successor_waits_for_processes_that_pace_themselves_meanwhile() -> None:
    with node(GREEDY, B, window_us=LONG_US) as at:
        client, other = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        replace_killed(at)
        client = client.come_back()
        client.want()

        with pytest.raises(TimeoutError):
            client.join(timeout_s=LONG_US / 4e6)
        other.come_back()

        client.join(timeout_s=LONG_US / 4e6)


def test_a_successor_waits_a_window_for_processes_that_do_not_come_back() -> None:
    with node(GREEDY, B, window_us=LONG_US) as at:
        client = FakeClient(at.lease("a"))
        FakeClient(at.lease("b"))
        replace_killed(at)
        client = client.come_back()
        client.want()

        client.join(timeout_s=1.2 * LONG_US / 1e6)


def test_slots_lie_where_processes_without_a_daemon_look_for_them() -> None:
    """The window begins at multiples of its length on the monotonic clock."""
    with node(A, B, window_us=LONG_US) as at, ThreadPoolExecutor(1) as other:
        first, second = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        for each in (first, second):
            each.want()
        holds = other.submit(lambda: [first.hold() for _ in range(5)])

        phases = []
        for _ in range(4):
            second.await_token()
            phases.append(time.monotonic_ns() // 1000 % LONG_US / LONG_US)
            second.hold()

        assert holds.result()
        assert statistics.median(phases[1:]) == pytest.approx(0.4, abs=0.1)


def test_a_restarted_daemon_gives_the_slot_back_and_charges_nothing_twice() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.want()
        client.hold()
        client.set("memory_bytes", 4096)
        client.want(wants=False)
        at.daemon.stop()
        at.daemon.start()

        again = FakeClient(at.lease("a"), slot=client.slot)

        stats = at.control.stats().lease("a")
        assert again.slot == client.slot
        assert (stats.used_ns, stats.processes, stats.memory_bytes) == (0, 1, 4096)


def test_a_killed_daemon_leaves_tokens_that_its_successor_waits_for() -> None:
    with node(A, B, flags=("--drain-timeout-us", "300000")) as at:
        client, other = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        client.want()
        epoch = client.join()
        assert at.daemon.pid is not None
        os.kill(at.daemon.pid, signal.SIGKILL)
        assert eventually(lambda: not at.daemon.is_alive())
        at.daemon.start()
        again = FakeClient(at.lease("b"), slot=other.slot)
        again.want()

        assert client.grant.epoch == 0
        with pytest.raises(TimeoutError):
            again.await_token(timeout_s=0.1)
        client.set("wants", 0)
        client.set("acked_epoch", epoch)
        again.ring()
        again.join(timeout_s=0.15)


def test_processes_that_do_not_come_back_lose_their_slots() -> None:
    with node(A, flags=("--reconnect-us", "100000")) as at:
        client = FakeClient(at.lease("a"))
        client.set("memory_bytes", 4096)
        at.daemon.stop()
        at.daemon.start()

        assert at.control.stats().lease("a").memory_bytes == 4096
        assert eventually(lambda: at.control.stats().lease("a").memory_bytes == 0)
        assert at.control.stats().lease("a").processes == 0


def test_a_second_daemon_on_the_same_folder_is_refused() -> None:
    with node(A) as at:
        command = [native().tokend, "--dir", at.folder]

        second = subprocess.run(command, capture_output=True, text=True, check=False)

        assert second.returncode == 1
        assert "another daemon" in second.stderr
        assert second.stdout == ""
        at.control.ping()


def test_a_stopped_daemon_leaves_no_token_and_no_socket() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.want()
        client.join()

        at.daemon.stop()

        assert client.grant.epoch == 0
        assert not (at.folder / names.FILE_CONTROL_SOCKET).exists()
        assert not (at.lease("a") / names.FILE_TOKEN_SOCKET).exists()
        with pytest.raises(TokenDaemonError):
            at.control.ping()


def test_a_daemon_that_cannot_start_says_so() -> None:
    with node(A) as at:
        at.daemon.stop()
        write_timetable(at.folder, [A])
        (at.folder / "lock").unlink()
        (at.folder / "lock").mkdir()

        with pytest.raises(TokenDaemonError, match="ended with 1"):
            at.daemon.start()
