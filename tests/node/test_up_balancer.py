"""The balancer and the probes against real sockets, in one process."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from gshare.workload import Exec, HttpGet, Probe, TcpSocket
from gshare_cli import ports, probes
from gshare_cli.balancer import Balancer
from gshare_cli.probes import Surroundings

pytestmark = pytest.mark.timed

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with everything that came, once the other side has ended."""
    writer.write(await reader.read())
    writer.close()


@contextlib.asynccontextmanager
async def server(answer: Answer = echo_all) -> AsyncIterator[int]:
    """Serve on a free port within the block."""
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@contextlib.asynccontextmanager
async def balancing(targets: Mapping[str, int]) -> AsyncIterator[tuple[Balancer, int]]:
    """Balance over `targets` within the block."""
    balancer = Balancer(lambda: targets)
    try:
        yield balancer, await balancer.listen(0)
    finally:
        await balancer.drain(grace_s=0)


async def ask(port: int, text: bytes) -> bytes:
    """Send `text`, end our side, and return the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_bytes_pass_both_ways_across_a_half_close() -> None:
    large = os.urandom(3_000_000)

    async def run() -> bytes:
        async with server() as target, balancing({"a": target}) as (_, port):
            return await ask(port, large)

    assert asyncio.run(run()) == large


def test_a_replica_that_does_not_listen_is_passed_over() -> None:
    async def run() -> list[bytes]:
        (closed,) = ports.free(1, ())
        async with server() as target, balancing({"a": closed, "b": target}) as (_, port):
            return [await ask(port, b"hello") for _ in range(3)]

    assert asyncio.run(run()) == [b"hello"] * 3


def test_without_a_ready_replica_connections_are_closed() -> None:
    async def run() -> bytes:
        async with balancing({}) as (_, port):
            return await ask(port, b"")

    assert asyncio.run(run()) == b""


def test_draining_lets_open_connections_finish_and_accepts_no_more() -> None:
    async def run() -> tuple[bytes, bool]:
        async with server() as target, balancing({"a": target}) as (balancer, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"late")
            await writer.drain()
            await asyncio.sleep(0.05)
            draining = asyncio.create_task(balancer.drain(grace_s=5))
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await asyncio.wait_for(draining, 1)
            return answer, draining.done()

    assert asyncio.run(run()) == (b"late", True)


def test_connections_spread_over_replicas() -> None:
    def named(name: bytes) -> Answer:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(name)
            writer.close()

        return answer

    async def run() -> list[bytes]:
        async with (
            server(named(b"a")) as first,
            server(named(b"b")) as second,
            balancing({"a": first, "b": second}) as (_, port),
        ):
            return [await ask(port, b"") for _ in range(6)]

    assert sorted(asyncio.run(run())) == [b"a"] * 3 + [b"b"] * 3


def saying(status_line: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(status_line + b"\r\n\r\n")
        writer.close()

    return answer


@pytest.mark.parametrize(
    ("status_line", "expected"),
    [
        pytest.param(b"HTTP/1.1 200 OK", True, id="ok"),
        pytest.param(b"HTTP/1.1 302 Found", True, id="redirection"),
        pytest.param(b"HTTP/1.1 503 Busy", False, id="server error"),
        pytest.param(b"hello", False, id="not HTTP"),
    ],
)
def test_an_http_probe_judges_by_the_status(status_line: bytes, expected: bool) -> None:  # noqa: FBT001
    async def run() -> bool:
        async with server(saying(status_line)) as port:
            surroundings = Surroundings({8080: port}, {}, Path("/"))
            return await probes.succeeds(Probe(HttpGet("/", 8080)), surroundings)

    assert asyncio.run(run()) is expected


def test_a_probe_that_gets_no_answer_in_time_has_failed() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)
        writer.close()

    async def run() -> bool:
        async with server(silent) as port:
            surroundings = Surroundings({8080: port}, {}, Path("/"))
            return await probes.succeeds(Probe(HttpGet("/", 8080)), surroundings)

    assert asyncio.run(run()) is False


def test_a_tcp_probe_asks_for_a_connection_alone() -> None:
    async def run() -> tuple[bool, bool]:
        (closed,) = ports.free(1, ())
        async with server() as port:
            surroundings = Surroundings({1: port, 2: closed}, {}, Path("/"))
            open_port = await probes.succeeds(Probe(TcpSocket(1)), surroundings)
            return open_port, await probes.succeeds(Probe(TcpSocket(2)), surroundings)

    assert asyncio.run(run()) == (True, False)


def test_an_exec_probe_runs_beside_the_container() -> None:
    check = (sys.executable, "-c", "import os, sys; sys.exit(os.environ['READY'] != 'yes')")

    async def run(ready: str) -> bool:
        surroundings = Surroundings({}, {"READY": ready}, Path("/"))
        return await probes.succeeds(Probe(Exec(check), timeout_seconds=5), surroundings)

    assert asyncio.run(run("yes")) is True
    assert asyncio.run(run("no")) is False
