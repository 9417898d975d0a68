"""A Service on one machine: one local TCP port that balances over the ready replicas.

A new connection goes to the ready replica with the fewest open ones, in turn where several have
as few. Connections of a replica that stopped being ready run on until either side ends them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

CONNECT_TIMEOUT_S: Final = 2.0


def choose(candidates: Sequence[str], connections: Mapping[str, int], last: str | None) -> str:
    """Return the candidate with the fewest connections; among equals the next after `last`."""
    start = candidates.index(last) + 1 if last in candidates else 0
    in_turn = [*candidates[start:], *candidates[:start]]
    return min(in_turn, key=lambda name: connections.get(name, 0))


class Balancer:
    """Listens on 127.0.0.1 and passes connections on; `targets` tells the ready ones' ports."""

    def __init__(self, targets: Callable[[], Mapping[str, int]]) -> None:
        self._targets = targets
        self._connections: dict[str, int] = {}
        self._last: str | None = None
        self._server: asyncio.Server | None = None
        self._open: set[_Side] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._dialling: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> int:
        """Listen on `port`, or on any free one if it is taken; return the port it became."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, "127.0.0.1", port)
        except OSError:
            self._server = await loop.create_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def drain(self, grace_s: float) -> None:
        """Accept nothing more, let open connections end for `grace_s`, then close them."""
        if self._server:
            self._server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._is_idle.wait()
        for task in list(self._dialling):
            task.cancel()
        for side in list(self._open):
            side.close()

    def _accept(self) -> "_Side":
        return _Side(self, on_made=self._dial)

    def _dial(self, client: "_Side") -> None:
        task = asyncio.get_running_loop().create_task(self._connect(client))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, client: "_Side") -> None:
        targets = dict(self._targets())
        while targets:
            name = choose(list(targets), self._connections, self._last)
            port = targets.pop(name)
            self._last = name
            self._connections[name] = self._connections.get(name, 0) + 1
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._join(client, name, port)
            except OSError:  # not listening any more; TimeoutError is one of these
                self._ended(name)
                continue
            return
        client.close()

    async def _join(self, client: "_Side", name: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        server = _Side(self, on_end=lambda: self._ended(name))
        await loop.create_connection(lambda: server, "127.0.0.1", port)
        client.join(server)

    def _ended(self, name: str) -> None:
        self._connections[name] -= 1

    def opened(self, side: "_Side") -> None:
        """Count a connection as open."""
        self._open.add(side)
        self._is_idle.clear()

    def closed(self, side: "_Side") -> None:
        """Count it no more."""
        self._open.discard(side)
        if not self._open:
            self._is_idle.set()


class _Side(asyncio.Protocol):
    """One of the two connections that are passed on to each other."""

    def __init__(
        self,
        owner: Balancer,
        on_made: "Callable[[_Side], None] | None" = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._owner = owner
        self._on_made = on_made
        self._on_end = on_end
        self.transport: asyncio.Transport | None = None
        self.peer: _Side | None = None
        self.has_sent_all = False
        self._early: list[bytes] = []

    def join(self, peer: "_Side") -> None:
        """Pass on to `peer` from now on, and the other way round; what came early goes first."""
        self.peer, peer.peer = peer, self
        if self.transport is None or self.transport.is_closing():
            peer.close()
            return
        if peer.transport:
            peer.transport.writelines(self._early)
            if self.has_sent_all:
                peer.transport.write_eof()
        self._early.clear()
        self.transport.resume_reading()

    def close(self) -> None:
        """Close this side after what was written to it is sent."""
        if self.transport:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        self.transport = transport
        self._owner.opened(self)
        if self._on_made:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what came, or keep it and read no more until there is a peer.

        Pausing in `connection_made` instead is not enough: Python 3.11.2 reads all the same.
        """
        if self.peer is None:
            self._early.append(data)
            if self.transport:
                self.transport.pause_reading()
        elif self.peer.transport:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass a half-close on; the other direction stays open until it ends too."""
        self.has_sent_all = True
        peer = self.peer
        if peer is None:
            return True
        if peer.transport is None or peer.has_sent_all:
            return False
        peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """Stop reading from the other side while this one takes nothing."""
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other side again."""
        if self.peer and self.peer.transport:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side too."""
        del exc
        self._owner.closed(self)
        self.transport = None
        if self.peer:
            self.peer.close()
        if self._on_end:
            self._on_end()
