"""One connection to the store: requests and their answers, and the references that it holds.

References on weights are the connection's. Who holds a map of weights gives them back when the map
goes, which may be in any thread, in the middle of anything, even of an answer awaited on this very
connection. So giving back only notes it, and sends it at once if nobody uses the connection, else
before the next request. Nothing awaits the answers to that: replies carry their request's serial,
and those that nobody awaits are passed over.

A call that is interrupted (Ctrl-C) leaves an answer on its way. Before the next request the store
is told to forget it, and what it had granted meanwhile is given back.
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from . import protocol
from .client_places import RESTARTING_S
from .client_progress import Report
from .errors import StoreAwayError, StoreDiedError
from .protocol import Op, Reply, Request, Status

SILENCE_S: Final = 60.0
"""How long the store may say nothing, not even of another's load, before it counts as away."""
SLOWEST_STORE_BYTES_PER_S: Final = 50e6
"""The store answers STORE once it has hashed and copied the content: at least so fast."""

_RETRY_S: Final = 0.02
_LONGEST_PATH: Final = 107
"""Of a unix socket's address, in bytes; a longer path is reached through its folder."""
_MOST_DESCRIPTORS: Final = 4
_SERIALS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and the descriptors beside it, which the receiver closes."""

    reply: Reply
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


Name: TypeAlias = tuple[str, bytes | None]
"""Key and digest of weights."""


class Connection:
    """A connection; who uses it holds `lock`, except to give references back."""

    def __init__(self, path: str, patience_s: float) -> None:
        """Connect, for up to `patience_s` while nobody serves; StoreAwayError where nobody does."""
        self.path = path
        self.lock = threading.Lock()
        self.is_broken = False
        self._pid = os.getpid()
        self._socket = _connected(path, patience_s)
        self._serials = itertools.count(1)
        self._held: collections.Counter[Name] = collections.Counter()
        self._returned: collections.deque[Name] = collections.deque()
        self._interrupted: str | None = None
        self._is_retired = False

    def ask(
        self,
        request: Request,
        descriptor: int | None = None,
        report: Report | None = None,
        silence_s: float = SILENCE_S,
    ) -> Answer:
        """Return the answer to a request; `report` hears of another's load meanwhile.

        StoreDiedError where the store ends, StoreAwayError where it falls silent.
        """
        for answer in self._answers(request, descriptor, silence_s):
            if answer.reply.is_final:
                if answer.reply.status is Status.READY:
                    self._held[request.key, answer.reply.digest] += 1
                return answer
            if report:
                report(answer.reply.content_bytes, answer.reply.total_bytes)
        raise AssertionError("answers end with a final one")

    def entries(self) -> tuple[Reply, ...]:
        """Return the store's list."""
        found = []
        for answer in self._answers(Request(Op.LIST), None, SILENCE_S):
            answer.close()
            if answer.reply.status is not Status.READY:
                break
            found.append(answer.reply)
        return tuple(found)

    def tell(self, request: Request) -> None:
        """Send what needs no answer; a store that does not take it now is not told."""
        with contextlib.suppress(OSError):
            self._socket.send(self._packed(request)[1], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def give_back(self, name: Name) -> None:
        """Give one reference back, from anywhere; a fork's copy of the holder gives back nothing."""
        if os.getpid() != self._pid or self.is_broken:
            return
        self._returned.append(name)
        if self.lock.acquire(blocking=False):
            self.leave()

    def leave(self) -> None:
        """Let others use the connection, and tell the store what was given back meanwhile.

        Whoever gives back what this has not seen either finds the lock free, or is seen here.
        """
        while True:
            try:
                if not self.is_broken:
                    self._settle()
                    self._close_if_done()
            finally:
                self.lock.release()
            if self.is_broken or not self._returned or not self.lock.acquire(blocking=False):
                return

    def retire(self) -> None:
        """Close the connection once it is not in use and holds no reference."""
        self._is_retired = True
        if self.lock.acquire(blocking=False):
            self.leave()

    def close(self) -> None:
        """End the connection, and with it all that the store kept for it."""
        self.is_broken = True
        self._socket.close()

    def _answers(
        self, request: Request, descriptor: int | None, silence_s: float
    ) -> Iterator[Answer]:
        """Yield the answers to a request. Whoever stops listening has heard the final one."""
        self._settle()
        serial, packet = self._packed(request)
        _set_timeouts(self._socket, silence_s)
        self._interrupted = request.key
        self._send(packet, descriptor, silence_s)
        while True:
            answer = self._receive(silence_s)
            if answer.reply.serial != serial:
                self._pass_over(answer)
                continue
            if answer.reply.is_final:
                self._interrupted = None
            yield answer

    def _settle(self) -> None:
        """Tell the store what was given back, and to forget an interrupted request."""
        if self._interrupted is None and not self._returned:
            return
        self._hear_leftovers()
        if self._interrupted is not None:
            key, self._interrupted = self._interrupted, None
            self.tell(Request(Op.ABANDON, key))
        while self._returned:
            name = self._returned.popleft()
            self._held[name] -= 1
            if self._held[name] <= 0:
                del self._held[name]
                self.tell(Request(Op.RELEASE, name[0], name[1]))

    def _hear_leftovers(self) -> None:
        """Pass over answers that nobody awaits and that are there."""
        while not self.is_broken:
            try:
                answer = self._received(socket.MSG_DONTWAIT)
            except (OSError, StoreAwayError):
                return
            self._pass_over(answer)

    def _pass_over(self, answer: Answer) -> None:
        """Take an answer that nobody awaits; a reference that it grants goes back."""
        answer.close()
        reply = answer.reply
        if reply.status is Status.READY and reply.mechanism is not protocol.Mechanism.NONE:
            self._held[reply.key, reply.digest] += 1
            self._returned.append((reply.key, reply.digest))

    def _packed(self, request: Request) -> tuple[int, bytes]:
        serial = next(self._serials) % _SERIALS
        return serial, protocol.pack_request(dataclasses.replace(request, serial=serial))

    def _send(self, packet: bytes, descriptor: int | None, silence_s: float) -> None:
        descriptors = [] if descriptor is None else [descriptor]
        try:
            socket.send_fds(self._socket, [packet], descriptors, socket.MSG_NOSIGNAL)
        except BlockingIOError as error:
            raise self._silent(silence_s) from error
        except OSError as error:
            raise self._ended(error) from error

    def _receive(self, silence_s: float) -> Answer:
        try:
            return self._received(0)
        except BlockingIOError as error:
            raise self._silent(silence_s) from error
        except OSError as error:
            raise self._ended(error) from error

    def _received(self, flags: int) -> Answer:
        packet, descriptors, _flags, _address = socket.recv_fds(
            self._socket,
            protocol.REPLY.size + 1,
            _MOST_DESCRIPTORS,
            flags | socket.MSG_CMSG_CLOEXEC,
        )
        if not packet:
            raise self._ended(None)
        try:
            return Answer(protocol.unpack_reply(packet), tuple(descriptors))
        except protocol.ProtocolError as error:
            Answer(Reply(Status.ERROR), tuple(descriptors)).close()
            self.close()
            raise StoreAwayError(self.path, f"is no model store of this version: {error}") from error

    def _silent(self, silence_s: float) -> StoreAwayError:
        self.close()
        return StoreAwayError(self.path, f"no answer for {silence_s:.0f} s")

    def _ended(self, error: OSError | None) -> StoreDiedError:
        self.close()
        return StoreDiedError(self.path, f"ended the connection{f': {error}' if error else ''}")

    def _close_if_done(self) -> None:
        if self._is_retired and not self._held:
            self.close()


class Connections:
    """The connections of one client: one for each thread that uses the store at a time.

    A fork gets connections of its own. It leaves those that it inherited open and alone: with
    them the store keeps the references of maps that the fork inherited, too.
    """

    def __init__(self, path: str | None, patience_s: float) -> None:
        self.path = path
        self._first_patience_s = patience_s
        self._inherited: list[Connection] = []
        self._connections: list[Connection] = []
        self._begin()

    @contextlib.contextmanager
    def take(self, patience_s: float = 0.0) -> Iterator[Connection]:
        """Yield a connection that nobody else uses; waits `patience_s` for a store that is away.

        StoreAwayError where nobody serves.
        """
        connection = self._idle() or self._new(patience_s)
        try:
            yield connection
        finally:
            connection.leave()

    def close(self) -> None:
        """End the connections, each when nothing that came over it is held any more.

        A later call connects again.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            connections, self._connections = self._connections, []
        for each in connections:
            each.retire()

    def _idle(self) -> Connection | None:
        if os.getpid() != self._pid:
            self._inherited += self._connections
            self._begin()
        with self._lock:
            self._connections = [each for each in self._connections if not each.is_broken]
            return next(
                (each for each in self._connections if each.lock.acquire(blocking=False)), None
            )

    def _new(self, patience_s: float) -> Connection:
        if self.path is None:
            raise StoreAwayError(None, "GSHARE_STORE_SOCKET and GSHARE_LEASE_DIR are not set")
        patience_s, self._first_patience_s = max(patience_s, self._first_patience_s), 0.0
        connection = Connection(self.path, patience_s)
        connection.lock.acquire()
        with self._lock:
            self._connections.append(connection)
        return connection

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._connections = []


def _connected(path: str, patience_s: float) -> socket.socket:
    """Return a socket that is connected to `path`; StoreAwayError after `patience_s` of trying.

    A socket that nobody serves is one of a store that died: its node starts another.
    """
    began = time.monotonic()
    while True:
        try:
            return _try_connect(path)
        except FileNotFoundError as error:
            if time.monotonic() - began >= patience_s:
                raise StoreAwayError(path, "no such socket") from error
        except ConnectionRefusedError as error:
            if time.monotonic() - began >= max(patience_s, RESTARTING_S):
                raise StoreAwayError(path, "nobody serves it") from error
        except (OSError, ValueError) as error:
            raise StoreAwayError(path, str(error)) from error
        time.sleep(_RETRY_S)


def _try_connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        _set_timeouts(connection, SILENCE_S)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _address(path: str) -> Iterator[str]:
    """Yield an address for `path`, however long it is."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


def _set_timeouts(connection: socket.socket, seconds: float) -> None:
    """Bound each send, receive and connect, by the kernel.

    Python's own time-outs make the socket non-blocking, and a connect that finds the server's
    queue full then fails instead of waiting.
    """
    whole = int(seconds)
    value = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, value)
