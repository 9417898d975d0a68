"""What a hostile client sends costs its own connection, and nobody else anything."""

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.store_client import (
    RawClient,
    StoreProcess,
    content,
    digest_of,
    memfd,
    socket_store,
    wait_until,
)

from gshare_modelstore import protocol
from gshare_modelstore.protocol import Ask, Op, Request, Status, Tier
from gshare_modelstore.server import MOST_CONNECTIONS

LINGER_S = 30
KEPT = content(b"\x07")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """Run a store that keeps "kept" for a client that everybody else could hurt."""
    with socket_store(tmp_path_factory.mktemp("hostile") / "store.sock") as running:
        with running.client() as honest:
            assert honest.store("kept", KEPT, flags=Ask.PIN).status is Status.READY
        yield running


@pytest.fixture(autouse=True)
def _others_are_served(store: StoreProcess) -> Iterator[None]:
    """After each test an honest client gets the same weights from the same process."""
    process = store.process.pid
    yield
    with store.client() as honest:
        given_ = honest.get("kept")
        assert given_.reply.digest == digest_of(KEPT)
        assert given_.bytes == b"\x07" * 4096
        given_.close()
    assert store.process.poll() is None
    assert store.process.pid == process


def packet(**fields) -> bytes:
    return protocol.pack_request(Request(**{"op": Op.LIST, **fields}))


@given(st.binary(max_size=600))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_answered_or_end_the_connection(store: StoreProcess, data: bytes) -> None:
    """No packet makes the store wait, fail, or answer what is no reply."""
    with store.client() as client:
        client.socket.send(data or b"x")
        answer = client.socket.recv(protocol.REPLY.size)

        assert not answer or protocol.unpack_reply(answer)


@given(
    op=st.sampled_from([each for each in Op if each not in {Op.STORE, Op.PROGRESS}]),
    key=st.text(max_size=60) | st.sampled_from(["kept", "k", "shared/k"]),
    digest=st.none() | st.binary(min_size=32, max_size=32),
    tier=st.sampled_from(Tier),
    flags=st.sampled_from([Ask.NONE, Ask.LOAD]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_request_is_answered(store: StoreProcess, op, key, digest, tier, flags) -> None:
    """Whatever its fields hold, a request ends with a reply of its serial."""
    if (op, key) == (Op.DROP, "kept") or "\0" in key:
        return
    with store.client() as client:
        reply = client.ask(op, key, digest=digest, tier=tier, flags=flags).reply

    assert reply.status is not Status.PROGRESS


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_content_is_kept_whole_or_refused(store: StoreProcess, noise, at) -> None:
    """Content with bytes changed is either still content, or named and not stored."""
    data = bytearray(content(size_bytes=256))
    data[at : at + len(noise)] = noise
    with store.client() as client:
        given_ = client.store("noise", bytes(data))
        if given_.status is Status.READY:
            assert given_.reply.digest == digest_of(bytes(data))
            client.ask(Op.DROP, "noise")
        else:
            assert (given_.status, bool(given_.reply.text)) == (Status.INVALID, True)
        given_.close()


@pytest.mark.parametrize(
    "data",
    [
        packet()[:-1],
        packet() + b"x",
        b"\0" * protocol.REQUEST.size,
        packet().replace(struct.pack("=I", 1), struct.pack("=I", 2), 1),
        packet()[:8] + struct.pack("=I", 99) + packet()[12:],
        packet()[:-208] + b"k" * 208,
        packet()[:-208] + b"\xff".ljust(208, b"\0"),
    ],
    ids=["short", "long", "zeros", "version", "op", "key without an end", "key that is no text"],
)
def test_a_packet_that_is_none_ends_its_connection(store: StoreProcess, data: bytes) -> None:
    with store.client() as client:
        client.socket.send(data)

        assert client.is_hung_up()


@pytest.mark.parametrize("count", [0, 2, 200])
def test_a_store_without_its_one_descriptor_ends_its_connection(
    store: StoreProcess, count: int
) -> None:
    before = store.descriptors()
    fd = memfd(KEPT)
    with store.client() as client:
        client.send(Op.STORE, "x", descriptors=(fd,) * count, content_bytes=len(KEPT))

        assert client.is_hung_up()
    os.close(fd)
    wait_until(lambda: store.descriptors() <= before)


def test_descriptors_that_no_request_wants_end_its_connection(store: StoreProcess) -> None:
    before = store.descriptors()
    with store.client() as client, memfd_of(KEPT) as fd:
        client.send(Op.GET, "kept", descriptors=(fd,))

        assert client.is_hung_up()
    wait_until(lambda: store.descriptors() <= before)


@contextlib.contextmanager
def memfd_of(data: bytes) -> Iterator[int]:
    fd = memfd(data)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("kind", ["pipe", "socket", "file", "folder", "device"])
def test_what_is_no_memfd_is_refused_without_a_touch(
    store: StoreProcess, tmp_path: Path, kind: str
) -> None:
    """A pipe that nobody writes to would block whoever reads it."""
    (tmp_path / "file").write_bytes(KEPT)
    fds = {
        "pipe": lambda: os.pipe()[0],
        "socket": socket.socketpair()[0].detach,
        "file": lambda: os.open(tmp_path / "file", os.O_RDWR),
        "folder": lambda: os.open(tmp_path, os.O_RDONLY),
        "device": lambda: os.open("/dev/zero", os.O_RDWR),
    }
    with store.client() as client:
        given_ = client.store("x", KEPT, fd=fds[kind]())

    assert (given_.status, "no memfd" in given_.reply.text) == (Status.INVALID, True)


def test_a_socket_that_lingers_when_closed_delays_nobody(store: StoreProcess) -> None:
    """The last close of a TCP socket with unsent data waits for as long as its maker said.

    The store is held until our own descriptor is closed, so that its close is the last.
    """
    listener, stuck = lingering()
    with store.client() as client, store.client() as other:
        store.process.send_signal(signal.SIGSTOP)
        client.send(Op.STORE, "x", descriptors=(stuck,), content_bytes=len(KEPT))
        os.close(stuck)
        begun = time.monotonic()
        store.process.send_signal(signal.SIGCONT)

        assert client.receive().status is Status.INVALID
        other.list()
        assert other.store("y", KEPT).status is Status.READY
        assert time.monotonic() - begun < LINGER_S / 2
    listener.close()


@pytest.mark.parametrize("first", [b"no packet", b""], ids=["no packet", "nothing"])
def test_an_unread_socket_that_lingers_delays_nobody(store: StoreProcess, first: bytes) -> None:
    """A connection that is ended holds what its client sent behind the packet that ended it."""
    listener, stuck = lingering()
    with store.client() as client, store.client() as other:
        store.process.send_signal(signal.SIGSTOP)
        client.socket.send(first)
        client.send(Op.STORE, "x", descriptors=(stuck,), content_bytes=len(KEPT))
        os.close(stuck)
        begun = time.monotonic()
        store.process.send_signal(signal.SIGCONT)

        assert other.store("y", KEPT).status is Status.READY
        other.list()
        assert time.monotonic() - begun < LINGER_S / 2
    listener.close()


def lingering() -> tuple[socket.socket, int]:
    """Return a listener that never accepts, and a full connection to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    stuck = socket.create_connection(listener.getsockname())
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
    stuck.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            stuck.send(b"x" * 65536)
    return listener, stuck.detach()


def test_a_sparse_giant_is_refused_before_it_is_read(store: StoreProcess) -> None:
    fd = os.memfd_create("giant", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 40)
    begun = time.monotonic()
    with store.client() as client:
        given_ = client.store("x", b"", fd=fd, content_bytes=1 << 40)

    assert given_.status is Status.FULL
    assert time.monotonic() - begun < 10


def test_who_reads_no_replies_is_not_read_from(store: StoreProcess) -> None:
    with store.client() as deaf:
        deaf.socket.settimeout(0)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000:
                deaf.socket.send(packet())
                sent += 1

        assert sent < 100_000


def test_a_lease_has_so_many_connections_and_no_more(store: StoreProcess) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(store.client()) for _ in range(MOST_CONNECTIONS + 20)]

        served = sum(is_served(each) for each in many)

    assert served <= MOST_CONNECTIONS
    wait_until(lambda: new_one_is_served(store))


def is_served(client: RawClient) -> bool:
    try:
        client.list()
    except (EOFError, ConnectionResetError, BrokenPipeError):
        return False
    return True


def new_one_is_served(store: StoreProcess) -> bool:
    with store.client() as client:
        return is_served(client)
