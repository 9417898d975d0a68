"""A client that dies, stops or means harm costs the others of its GPU a window at most."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support import fake_client
from tests.support.daemon import WINDOW_US, Node, eventually, limits, node
from tests.support.fake_client import FakeClient
from tests.support.saturated import process

from gshare import names, wire

pytestmark = pytest.mark.timed

A = limits("a", slices=(wire.Slice(0, 40),))
B = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
WINDOW_S = WINDOW_US / 1e6

RING_FOR_EVER = """
import sys
from pathlib import Path
from tests.support.fake_client import FakeClient
client = FakeClient(Path(sys.argv[1]))
print("rings", flush=True)
while True:
    client.ring()
"""

SILENCE_FOR_EVER = """
import sys
from pathlib import Path
from tests.support.fake_client import FakeClient
client = FakeClient(Path(sys.argv[1]))
print("silences", flush=True)
while True:
    client.silence()
"""


def start(script: str, lease: Path) -> subprocess.Popen[bytes]:
    """Run a hostile client; return when it is at work."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", script, str(lease)]
    child = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline()
    return child


def cpu_percent(at: Node, seconds: float) -> float:
    """Measure how much of a core the daemon takes."""
    before = _ticks(at)
    time.sleep(seconds)
    return 100 * (_ticks(at) - before) / os.sysconf("SC_CLK_TCK") / seconds


def _ticks(at: Node) -> int:
    fields = Path(f"/proc/{at.daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_client_that_rings_for_ever_takes_no_core_and_no_token() -> None:
    with node(A, B) as at:
        client = FakeClient(at.lease("a"))
        ringer = start(RING_FOR_EVER, at.lease("b"))
        try:
            assert cpu_percent(at, 1) < 30

            client.want()
            client.join(timeout_s=2 * WINDOW_S)
        finally:
            ringer.kill()
            ringer.communicate()


def test_a_client_that_undoes_rings_holds_nobody_up() -> None:
    with node(A, B) as at:
        client = FakeClient(at.lease("a"))
        silencer = start(SILENCE_FOR_EVER, at.lease("b"))
        try:
            for _ in range(5):
                client.want()
                epoch = client.join(timeout_s=4 * WINDOW_S)
                client.set("wants", 0)
                client.ack(epoch, 1)
        finally:
            silencer.kill()
            silencer.communicate()


def test_a_hundred_connections_a_second_cost_nobody_a_token() -> None:
    with node(A, B) as at, process(at.lease("a")):
        assert eventually(lambda: at.control.stats().lease("a").grants > 2, 5)
        before = at.control.stats()

        for _ in range(100):
            FakeClient(at.lease("b")).hang_up()
            time.sleep(0.008)

        after = at.control.stats()
        passed = after.gpu.now_ns - before.gpu.now_ns
        used = after.lease("a").used_ns - before.lease("a").used_ns
        assert used / passed == pytest.approx(0.4, abs=0.04)
        assert eventually(lambda: at.control.stats().lease("b").processes == 0)


def test_a_daemon_out_of_descriptors_turns_away_and_goes_on() -> None:
    with node(A, B) as at:
        client = FakeClient(at.lease("a"))
        assert at.daemon.pid is not None
        resource.prlimit(at.daemon.pid, resource.RLIMIT_NOFILE, (32, 32))

        crowd = [fake_client.dial(at.lease("b")) for _ in range(40)]

        assert cpu_percent(at, 0.5) < 20
        client.want()
        client.join()
        for each in crowd:
            each.close()
        assert eventually(lambda: FakeClient(at.lease("b")).slot >= 0)


def test_control_connections_that_say_nothing_keep_nobody_out() -> None:
    with node(A) as at:
        silent = [fake_client.dial(at.folder, names.FILE_CONTROL_SOCKET) for _ in range(40)]

        at.control.ping()

        for each in silent:
            each.close()


@pytest.mark.parametrize("request_bytes", [63, 64, 65, 70_000])
def test_a_long_control_request_costs_only_its_own_connection(request_bytes: int) -> None:
    with node(A) as at:
        stranger = fake_client.dial(at.folder, names.FILE_CONTROL_SOCKET)

        stranger.send(b"a" * request_bytes)

        answer = stranger.recv(100)
        assert answer == b"" or answer.startswith(b"error")
        stranger.close()
        at.control.ping()


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


def test_more_processes_than_slots_are_told_so() -> None:
    with node(A) as at:
        clients = [FakeClient(at.lease("a")) for _ in range(wire.MAX_SLOTS)]

        with pytest.raises(PermissionError, match=str(wire.WELCOME_FULL)):
            FakeClient(at.lease("a"))

        assert len({client.slot for client in clients}) == wire.MAX_SLOTS


def test_a_slot_of_another_process_is_refused() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))

        with pytest.raises(PermissionError, match=str(wire.WELCOME_REFUSED)):
            FakeClient(at.lease("a"), slot=client.slot)
