"""The model store's loop: clients and results of workers in, what the catalogue says out.

One thread waits for all sockets; nothing in it takes long. A packet that is none of ours, or a
client that does not read, costs its own connection. Leases and budget are followed by looking.

Killed at any line, the store leaves descriptors that end with their users and files that the next
one replaces; that one starts empty, clients keep what they have mapped and connect again.
"""

import dataclasses
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeAlias

from gshare.errors import GshareError

from . import doors
from .catalogue import Catalogue
from .connection import Connection, HangUpError, Received
from .doors import Door
from .instructions import Answer, Instruction
from .keeping import Keeping
from .places import Place
from .protocol import Op, Reply, Tell, Tier
from .sharing import DeviceSharing
from .workers import Results

MOST_CONNECTIONS: Final = 256
"""Of one lease at a time; one more is closed at once."""
_ACCEPTS: Final = 64
"""Connections taken from a door before others are served."""
_LOG = logging.getLogger(__name__)
_Handler: TypeAlias = Callable[[int], None]


class Server:
    """Serves one place: a GPU's folder, or a socket alone."""

    def __init__(
        self, place: Place, poll_s: float, open_device: Callable[[], DeviceSharing] | None
    ) -> None:
        self._place = place
        self._poll_s = poll_s
        self.catalogue = Catalogue(place.read().terms, has_device=open_device is not None)
        self._results = Results()
        self.keeping = Keeping(self.catalogue, self._results, self._perform, open_device)
        self._selector = selectors.DefaultSelector()
        self._doors: dict[str, Door] = {}
        self._connections: dict[int, Connection] = {}
        self._of_lease: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._hung_up: deque[tuple[int, str]] = deque()
        self._looked_at = 0.0
        self._register(self._results, selectors.EVENT_READ, lambda _: self._results.run())

    @property
    def clients(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set. GshareError where the GPU takes no more calls."""
        while not stop.is_set():
            self.step()
            if self.keeping.fault:
                raise GshareError(f"GPU lost, starting anew: {self.keeping.fault}")

    def step(self) -> None:
        """Serve what has come, and look at the place when it is time."""
        if time.monotonic() - self._looked_at >= self._poll_s:
            self._follow()
        for key, mask in self._selector.select(self._poll_s):
            handler: _Handler = key.data
            handler(mask)
            self._end_hung_up()

    def close(self) -> None:
        """End all connections and doors, so that clients look for the next store."""
        for door in self._doors.values():
            door.close(removes=True)
        for connection in self._connections.values():
            connection.socket.close()
        self._place.publish({})

    def _follow(self) -> None:
        """Make doors, connections and terms agree with the place; tell it what is kept."""
        self._looked_at = time.monotonic()
        if self._place.has_changed():
            scene = self._place.read()
            self._perform(self.catalogue.adopt(scene.terms))
            for lease in set(self._doors) - set(scene.leases):
                self._shut(lease)
        for lease, identity in self._place.leases.items():
            door = self._doors.get(lease)
            if door is None or door.identity != identity or not door.stands:
                self._open(lease)
        silent = [each for each in self._connections.values() if each.is_silent(self._looked_at)]
        for connection in silent:
            self._hang_up(connection, "reads no replies")
        self._end_hung_up()
        self._place.publish(self.catalogue.resident())

    def _open(self, lease: str) -> None:
        """Open a lease's door, again if need be; trouble is logged and tried again later."""
        if lease in self._doors:
            self._shut(lease)
        try:
            door = doors.open_at(self._place.socket_of(lease), self._place.leases[lease], lease)
        except GshareError as error:
            self._place.complain(lease, str(error))
            return
        self._doors[lease] = door
        self._register(door, selectors.EVENT_READ, partial(self._on_door, door))
        _LOG.info("event=serves lease=%s client=%s", lease, door.identity.text)

    def _shut(self, lease: str) -> None:
        door = self._doors.pop(lease)
        self._selector.unregister(door)
        door.close(removes=True)
        for connection in self._connections.values():
            if connection.lease == lease:
                self._hang_up(connection, "its lease has ended")
        self._end_hung_up()

    def _on_door(self, door: Door, _mask: int) -> None:
        for _ in range(_ACCEPTS):
            accepted = door.accept()
            if accepted is None:
                return
            self._welcome(door, accepted)

    def _welcome(self, door: Door, accepted: socket.socket) -> None:
        if self._of_lease[door.lease] >= MOST_CONNECTIONS:
            _LOG.warning("event=crowded lease=%s connections=%d", door.lease, MOST_CONNECTIONS)
            accepted.close()
            return
        connection = Connection(accepted, next(self._numbers), door.identity, door.lease)
        self._connections[connection.client] = connection
        self._of_lease[door.lease] += 1
        self.catalogue.join(connection.client, connection.identity)
        self._register(connection, selectors.EVENT_READ, partial(self._on_connection, connection))

    def _on_connection(self, connection: Connection, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                connection.flush(time.monotonic())
                self._listen(connection)
                return
            received = connection.receive(self.keeping.closer.close_strange)
        except HangUpError as error:
            self._hang_up(connection, str(error))
            return
        if received is not None:
            self._take(connection, received)

    def _take(self, connection: Connection, received: Received) -> None:
        request = received.request
        if request.op is not Op.STORE or received.memfd is None:
            self._perform(self.catalogue.ask(connection.client, request))
            return
        ticket = next(self._numbers)
        self.keeping.take(ticket, received.memfd, request.content_bytes)
        self._perform(self.catalogue.offer(connection.client, request, ticket))

    def _perform(self, todo: Iterable[Instruction]) -> None:
        for each in todo:
            if isinstance(each, Answer):
                self._answer(each)
            else:
                self.keeping.do(each)

    def _answer(self, answer: Answer) -> None:
        connection = self._connections.get(answer.client)
        if connection is None:
            return
        reply, descriptors = self._with_weights(answer)
        try:
            connection.send(reply, descriptors, time.monotonic())
        except HangUpError as error:
            self._hang_up(connection, str(error))
            return
        if connection.is_writing:
            self._listen(connection)

    def _with_weights(self, answer: Answer) -> tuple[Reply, tuple[int, ...]]:
        """Return the reply with what only the keeper of the weights knows, and its descriptors."""
        reply = answer.reply
        if answer.content is None:
            return reply, ()
        shown = self.keeping.shown(answer.content, reply.tier)
        whole = dataclasses.replace(
            reply,
            flags=reply.flags | (Tell.SEALED if shown.is_sealed else Tell.NONE),
            mechanism=shown.mechanism,
            mapped_bytes=shown.mapped_bytes,
            index_bytes=shown.index_bytes,
            ipc_handle=shown.handle,
            gpu_uuid=self._place.gpu if reply.tier is Tier.DEVICE else "",
        )
        return whole, shown.descriptors

    def _listen(self, connection: Connection) -> None:
        """Wait for the client's next request, or until it has read the replies to its last."""
        events = selectors.EVENT_WRITE if connection.is_writing else selectors.EVENT_READ
        self._selector.modify(connection, events, partial(self._on_connection, connection))

    def _hang_up(self, connection: Connection, reason: str) -> None:
        """Let a connection end once the present instructions are done."""
        self._hung_up.append((connection.client, reason))

    def _end_hung_up(self) -> None:
        while self._hung_up:
            client, reason = self._hung_up.popleft()
            connection = self._connections.pop(client, None)
            if connection is not None:
                self._end(connection, reason)

    def _end(self, connection: Connection, reason: str) -> None:
        self._of_lease[connection.lease] -= 1
        self._selector.unregister(connection)
        if reason:
            who = connection.identity.text
            _LOG.warning("event=hung_up client=%s reason=%r", who, reason)
        self.keeping.closer.end(connection.socket)
        self._perform(self.catalogue.leave(connection.client))

    def _register(
        self, source: Results | Door | Connection, events: int, handler: _Handler
    ) -> None:
        self._selector.register(source, events, handler)
