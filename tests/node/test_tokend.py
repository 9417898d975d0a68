"""The token daemon as a process: tokens go round, and are charged once."""

import time

import pytest
from tests.support.daemon import WINDOW_US, eventually, limits, node
from tests.support.fake_client import FakeClient
from tests.support.saturated import process

from gshare import wire
from gshare.runtime.tokend import Stats, TokenDaemonError

pytestmark = pytest.mark.timed

A = limits("a", slices=(wire.Slice(0, 40),))
B = limits("b", quota_request_percent=60, slices=(wire.Slice(40, 60),))
WINDOW_S = WINDOW_US / 1e6


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


def test_busy_time_and_memory_of_each_kind_are_told() -> None:
    with node(A) as at:
        client = FakeClient(at.lease("a"))
        client.set("host_bytes", 512)
        client.set("imported_bytes", 64)
        client.want()
        epoch = client.join()
        time.sleep(0.003)

        client.set("wants", 0)
        client.ack(epoch, 2_000_000, busy_ns=500_000)

        assert eventually(lambda: at.control.stats().lease("a").used_ns == 2_000_000)
        stats = at.control.stats().lease("a")
        assert stats.busy_ns == 500_000
        assert (stats.memory_bytes, stats.host_bytes, stats.imported_bytes) == (0, 512, 64)


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


def test_an_unknown_request_is_answered_in_one_line() -> None:
    with node(A) as at, pytest.raises(TokenDaemonError, match="unknown request"):
        at.control._ask("dance")


def test_correct_without_the_right_to_run_first() -> None:
    with node(A, B, flags=("--no-fifo",)) as at, process(at.lease("a")):
        client = FakeClient(at.lease("b"))
        client.want()

        used = [client.hold() for _ in range(3)]

        assert all(used)
