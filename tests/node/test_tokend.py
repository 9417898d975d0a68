"""The token daemon as a process: tokens go round, and nobody's failure costs the others much."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import fake_client
from tests.support.daemon import WINDOW_US, eventually, limits, native, node
from tests.support.fake_client import FakeClient

from gshare import names, wire
from gshare.runtime.tokend import Stats, TokenDaemonError, write_timetable

A = limits("a", slices=(wire.Slice(0, 40),))
B = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
WINDOW_S = WINDOW_US / 1e6


@contextmanager
def process(lease: Path, seconds: float = 20) -> Iterator[subprocess.Popen[bytes]]:
    """Run a saturated client in a process of its own."""
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fake_client", str(lease), str(seconds)], cwd=root
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def used(before: Stats, after: Stats, lease: str) -> int:
    return after.lease(lease).used_ns - before.lease(lease).used_ns


def test_two_saturated_processes_get_their_quotas_in_turn() -> None:
    pair = node(A, B, window_us=4 * WINDOW_US)
    with pair as at, process(at.lease("a")), process(at.lease("b")):
        assert eventually(lambda: at.control.stats().lease("b").grants > 2, 5)
        before = at.control.stats()
        time.sleep(1.6)

        after = at.control.stats()

        shares = [used(before, after, lease) for lease in ("a", "b")]
        assert shares[0] / sum(shares) == pytest.approx(0.4, abs=0.05)
        assert after.gpu.max_concurrent_sm_percent == 60


def test_a_token_is_granted_to_who_wants_it_and_revoked_when_idle() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.want()
        epoch = client.join()

        client.want(wants=False)

        assert eventually(lambda: client.grant.epoch == 0)
        assert client.grant.revoke_count > 0
        client.ack(epoch, 1_000)
        assert eventually(lambda: at.control.stats().lease("a").used_ns == 1_000)
        assert not at.control.stats().lease("a").holds


def test_reported_time_is_bounded_by_the_time_held() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        began = time.monotonic_ns()
        client.want()

        client.hold(used_ns=10**15)

        assert eventually(lambda: at.control.stats().lease("a").used_ns > 0)
        assert at.control.stats().lease("a").used_ns <= time.monotonic_ns() - began


def test_two_processes_of_a_lease_share_one_grant_and_are_charged_once() -> None:
    with node(A) as at:
        pair = [FakeClient(at.lease("a")), FakeClient(at.lease("a"))]
        for client in pair:
            client.want()
        epochs = [client.join() for client in pair]
        time.sleep(0.003)

        for client in pair:
            client.set("wants", 0)
            client.ack(epochs[0], 2_000_000)

        assert epochs[0] == epochs[1]
        assert {client.slot for client in pair} == {0, 1}
        assert eventually(lambda: at.control.stats().lease("a").used_ns == 2_000_000)


def test_a_token_is_held_until_the_last_process_has_drained() -> None:
    with node(A, B, flags=("--drain-timeout-us", "5000000")) as at:
        first, second = FakeClient(at.lease("a")), FakeClient(at.lease("a"))
        for client in (first, second):
            client.want()
            client.join()
            client.set("wants", 0)

        first.ack(first.get("active_epoch"), 1)

        time.sleep(WINDOW_S / 4)
        assert at.control.stats().lease("a").holds
        second.ack(second.get("active_epoch"), 1)
        assert eventually(lambda: not at.control.stats().lease("a").holds)


def test_a_killed_holders_token_goes_on_at_once() -> None:
    with node(A, B, flags=("--drain-timeout-us", "10000000")) as at:
        other = FakeClient(at.lease("b"))
        with process(at.lease("a")) as holder:
            assert eventually(lambda: at.control.stats().lease("a").holds, 5)
            other.want()
            holder.kill()

            other.join(timeout_s=1)

            assert eventually(lambda: at.control.stats().lease("a").processes == 0)


def test_a_process_that_dies_holding_is_charged_for_the_hold() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.want()
        client.join()
        time.sleep(0.005)

        client.hang_up()

        assert eventually(lambda: at.control.stats().lease("a").used_ns >= 5_000_000)


def test_a_stopped_holder_costs_the_others_a_window_at_most() -> None:
    with node(A, B) as at, process(at.lease("a")) as holder:
        other = FakeClient(at.lease("b"))
        assert eventually(lambda: at.control.stats().lease("a").holds, 5)
        holder.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        other.want()

        other.join(timeout_s=2)

        assert time.monotonic() - began < 4 * WINDOW_S
        holder.send_signal(signal.SIGCONT)


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


def test_a_slot_of_another_process_is_refused() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))

        with pytest.raises(PermissionError, match=str(wire.WELCOME_REFUSED)):
            FakeClient(at.lease("a"), slot=client.slot)


def test_more_processes_than_slots_are_told_so() -> None:
    with node(A) as at:
        clients = [FakeClient(at.lease("a")) for _ in range(wire.MAX_SLOTS)]

        with pytest.raises(PermissionError, match=str(wire.WELCOME_FULL)):
            FakeClient(at.lease("a"))

        assert len({client.slot for client in clients}) == wire.MAX_SLOTS


@pytest.mark.parametrize(
    "message",
    [b"x", b"\0" * 16, os.urandom(16), b"y" * 70_000, wire.HELLO.pack(wire.MAGIC, 99, -1, 1)],
    ids=["one byte", "zeroes", "noise", "a long message", "another version"],
)
def test_garbage_costs_only_its_own_connection(message: bytes) -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        stranger = fake_client.dial(at.lease("a"))

        stranger.send(message)

        answer = stranger.recv(100)
        assert answer == b"" or wire.unpack_welcome(answer).status == wire.WELCOME_REFUSED
        client.want()
        client.join()


def test_a_page_cut_off_costs_only_its_own_lease() -> None:
    with node(A, B) as at:
        client, other = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        client.want()
        os.truncate(at.lease("a") / names.FILE_COUNTERS, 0)
        client.ring()
        other.want()

        other.join()

        assert at.daemon.is_alive()


def test_noise_in_the_counters_page_costs_only_its_own_lease() -> None:
    with node(A, B) as at:
        client, other = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        page = at.lease("a") / names.FILE_COUNTERS
        with page.open("r+b") as opened:
            opened.write(os.urandom(wire.COUNTERS_BYTES))
        client.ring()
        other.want()

        other.join(timeout_s=1)

        assert at.control.stats().lease("b").holds


def test_a_second_daemon_on_the_same_folder_is_refused() -> None:
    with node(A) as at:
        command = [native().tokend, "--dir", at.folder]

        second = subprocess.run(command, capture_output=True, text=True, check=False)

        assert second.returncode == 1
        assert "another daemon" in second.stderr
        assert second.stdout == ""
        at.control.ping()


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
        "gshare-timetable 1\nlease nobody sm=60 request=40 limit=40 slices=0+40\n",
        "gshare-timetable 1\n" + 2 * "lease a sm=60 request=40 limit=40 slices=0+40\n",
    ],
    ids=[
        *("empty", "no timetable", "slices short of the request", "no SMs"),
        *("limit below request", "slices beyond the window", "a path", "no folder", "twice"),
    ],
)
def test_a_bad_timetable_is_refused_and_changes_nothing(text: str) -> None:
    with node(A) as at:
        (at.folder / names.FILE_TIMETABLE).write_text(text)

        with pytest.raises(TokenDaemonError, match="error"):
            at.control.reload()

        assert [each.lease_id for each in at.control.stats().leases] == ["a"]


def test_an_unknown_request_is_answered_in_one_line() -> None:
    with node(A) as at, pytest.raises(TokenDaemonError, match="unknown request"):
        at.control._ask("dance")


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


def test_correct_without_the_right_to_run_first() -> None:
    with node(A, B, flags=("--no-fifo",)) as at, process(at.lease("a")):
        client = FakeClient(at.lease("b"))
        client.want()

        used = [client.hold() for _ in range(3)]

        assert all(used)


def test_a_stopped_waiter_costs_the_others_little() -> None:
    both = (limits("a"), limits("b", quota_request_percent=20, slices=(wire.Slice(40, 20),)))
    with node(*both) as at:
        stopped, other = FakeClient(at.lease("a")), FakeClient(at.lease("b"))
        stopped.want()
        other.want()
        time.sleep(10 * WINDOW_S)
        before = at.control.stats()
        time.sleep(10 * WINDOW_S)

        after = at.control.stats()

        assert after.lease("a").grants - before.lease("a").grants <= 4
        stopped.join(timeout_s=5)
