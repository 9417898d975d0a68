"""The server that the scheduler asks: how connections begin, go on, are kept and end."""

import logging
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare_extender.server import Reply, Server

ASK = b"POST /verb HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nyes"
LAST = b"POST /verb HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes"
TOLD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
SAID = TOLD + b"\r\n/verb yes"
SAID_AT_LAST = TOLD + b"Connection: close\r\n\r\n/verb yes"


def echo(request):
    return Reply(f"{request.target} {request.body.decode()}".encode())


@contextmanager
def serving(answer=echo, threads=4, idle_timeout_s=60.0, port=0):
    server = Server(Address("127.0.0.1", port), answer, threads, idle_timeout_s)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def connected(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as found:
        yield found


def heard(connection, count):
    """Return so many bytes, or what came before the connection ended."""
    found = b""
    while len(found) < count and (piece := connection.recv(count - len(found))):
        found += piece
    return found


def to_end(connection):
    return heard(connection, 1 << 20)


def test_a_connection_is_kept_from_one_request_to_the_next():
    with serving() as server, connected(server) as client:
        for _ in range(3):
            client.sendall(ASK)

            assert heard(client, len(SAID)) == SAID


@pytest.mark.parametrize(
    "pieces",
    [[ASK + ASK], [ASK[:9], ASK[9:-1], ASK[-1:] + ASK]],
    ids=["two at once", "in pieces"],
)
def test_requests_are_told_apart_however_they_come(pieces):
    with serving() as server, connected(server) as client:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.02)

        assert heard(client, 2 * len(SAID)) == 2 * SAID


def test_a_client_that_closes_is_answered_first():
    with serving() as server, connected(server) as client:
        client.sendall(LAST)

        assert to_end(client) == SAID_AT_LAST


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request", b"first line 'nonsense': must be three words\n"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"400 Bad Request",
            b"Content-Length 'x'",
        ),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413", b"a body must have"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"413", b"a body must have"),
    ],
    ids=["no request", "no length", "too long", "in chunks"],
)
def test_what_it_does_not_take_is_answered_in_one_line_and_ends_the_connection(
    content, status, text
):
    with serving() as server, connected(server) as client:
        client.sendall(content)

        head, _, body = to_end(client).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in head
    assert body.startswith(text)


def test_a_client_that_breaks_off_costs_nobody_else_anything(caplog):
    with caplog.at_level(logging.WARNING), serving(threads=1) as server:
        with connected(server) as client:
            client.sendall(ASK[:-1])
        with connected(server) as client:
            client.sendall(LAST)

            assert to_end(client) == SAID_AT_LAST
    assert caplog.records == []


def test_a_connection_over_which_nothing_comes_is_closed_in_time():
    with serving(idle_timeout_s=0.5) as server, connected(server) as client:
        assert to_end(client) == b""


def test_idle_connections_keep_nobody_waiting_who_asks():
    """As many as there are threads: each is closed after a moment, since others want theirs."""
    with serving(threads=2) as server, connected(server) as one, connected(server) as two:
        for client in (one, two):
            client.sendall(ASK)
            heard(client, len(SAID))
        with connected(server) as late:
            late.sendall(LAST)

            assert to_end(late) == SAID_AT_LAST


def test_an_answer_under_way_is_given_at_the_end():
    asked, stopping = threading.Event(), threading.Event()

    def slow(request):
        asked.set()
        stopping.wait(5)
        time.sleep(0.1)
        return echo(request)

    with serving(slow) as server, connected(server) as client:
        client.sendall(ASK)
        asked.wait(5)
        ending = threading.Thread(target=server.stop)
        ending.start()
        stopping.set()

        assert to_end(client) == SAID_AT_LAST
        ending.join()


def test_nothing_is_accepted_after_the_end():
    with serving() as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_an_address_that_is_taken_is_one_line():
    with serving() as server, pytest.raises(GshareError, match=r"cannot listen on 127\.0\.0\.1:"):
        Server(Address("127.0.0.1", server.port), echo, 1, 1.0).start()
