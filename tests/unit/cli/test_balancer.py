"""The choice of a replica for a new connection."""

import asyncio

from gshare_cli import balancer


def test_the_replica_with_the_fewest_connections_is_chosen() -> None:
    assert balancer.choose(["a", "b", "c"], {"a": 2, "b": 1, "c": 3}, last=None) == "b"


def test_among_equals_the_next_in_turn_is_chosen() -> None:
    assert balancer.choose(["a", "b", "c"], {}, last=None) == "a"
    assert balancer.choose(["a", "b", "c"], {}, last="a") == "b"
    assert balancer.choose(["a", "b", "c"], {}, last="c") == "a"


def test_a_replica_that_left_does_not_break_the_turn() -> None:
    assert balancer.choose(["a", "c"], {}, last="b") == "a"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


def test_bytes_that_come_before_the_replica_is_dialled_are_passed_on() -> None:
    """On every Python: 3.11.2 reads from a transport that was paused as soon as it was made."""

    async def ask() -> bytes:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        service = balancer.Balancer(lambda: {"a": server.sockets[0].getsockname()[1]})
        accepted = asyncio.Event()
        dialled = service._connect

        async def late(side: balancer._Side) -> None:
            await accepted.wait()
            await dialled(side)

        service._connect = late  # type: ignore[method-assign]
        reader, writer = await asyncio.open_connection("127.0.0.1", await service.listen(0))
        writer.write(b"early")
        writer.write_eof()
        await asyncio.sleep(0.05)
        accepted.set()
        answer = await asyncio.wait_for(reader.read(), 2)
        await service.drain(0)
        server.close()
        return answer

    assert asyncio.run(ask()) == b"early"
