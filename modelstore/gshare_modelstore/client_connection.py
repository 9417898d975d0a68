"""One connection to the store: requests and their answers, and the references that it holds.

References on weights are the connection's. Who holds a map of weights gives them back when the map
goes, which may be in any thread, in the middle of anything, even of an answer awaited on this very
connection. So giving back only notes it, and sends it at once if nobody uses the connection, else
before the next request. Nothing answers that. Replies carry their request's serial, and those that
nobody awaits are passed over.

A call that is interrupted (Ctrl-C) leaves an answer on its way. Before the next request the store
is told to forget it, and what it had granted meanwhile is given back.
"""

import collections
import dataclasses
import itertools
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from . import client_socket, protocol
from .client_progress import Report
from .errors import StoreAwayError, StoreDiedError
from .protocol import Ask, Op, Reply, Request, Status

_SERIALS: Final = 2**32
_HEAD_OF_REPLY: Final = struct.Struct("=II16xI")
"""Magic, version and serial of a reply that may be nobody's: read before all of it is."""
_OURS: Final = (protocol.MAGIC, protocol.VERSION)


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

    def __init__(self, path: str, patience_s: float, silence_s: float) -> None:
        """Connect, for up to `patience_s` while nobody serves; StoreAwayError where nobody does.

        A store that says nothing for `silence_s`, not even of another's load, counts as away.
        """
        self.path = path
        self.lock = threading.Lock()
        self.is_broken = False
        self._pid = os.getpid()
        self._socket = client_socket.connected(path, patience_s, silence_s)
        self._usual_silence_s = self._silence_s = silence_s
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
        more_silence_s: float = 0.0,
    ) -> Answer:
        """Return the answer to a request; `report` hears of another's load meanwhile.

        The store may be silent for `more_silence_s` longer than usual.
        StoreDiedError where the store ends, StoreAwayError where it falls silent.
        """
        for answer in self._answers(request, descriptor, more_silence_s):
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
        for answer in self._answers(Request(Op.LIST)):
            answer.close()
            if answer.reply.status is not Status.READY:
                break
            found.append(answer.reply)
        return tuple(found)

    def tell(self, request: Request) -> bool:
        """Send what needs no answer; tell whether the store takes it now, or has ended."""
        quiet = dataclasses.replace(request, flags=Ask.QUIET)
        try:
            self._socket.send(self._packed(quiet)[1], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError:  # the next request hears of it
            return True
        return True

    def give_back(self, name: Name) -> None:
        """Give one reference back, from anywhere; a fork gives back none that it inherited."""
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
            is_told = True
            try:
                if not self.is_broken:
                    is_told = self._settle()
                    self._close_if_done()
            finally:
                self.lock.release()
            if not is_told or self.is_broken or not self._returned:
                return
            if not self.lock.acquire(blocking=False):
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
        self, request: Request, descriptor: int | None = None, more_silence_s: float = 0.0
    ) -> Iterator[Answer]:
        """Yield the answers to a request. Whoever stops listening has heard the final one."""
        self._settle()
        serial, packet = self._packed(request)
        self._allow_silence(self._usual_silence_s + more_silence_s)
        self._interrupted = request.key
        self._send(packet, descriptor)
        while True:
            answer = self._receive(serial)
            if answer is None:
                continue
            if answer.reply.serial != serial:
                self._pass_over(answer)
                continue
            if answer.reply.is_final:
                self._interrupted = None
            yield answer

    def _settle(self) -> bool:
        """Tell the store what was given back, and to forget an interrupted request.

        Returns whether it took it all: a store whose queue is full is told at the next occasion.
        """
        if self._interrupted is None and not self._returned:
            return True
        self._hear_leftovers()
        if self._interrupted is not None:
            if not self.tell(Request(Op.ABANDON, self._interrupted)):
                return False
            self._interrupted = None
        while self._returned:
            key, digest = name = self._returned[0]
            if self._held[name] == 1 and not self.tell(Request(Op.RELEASE, key, digest)):
                return False
            self._returned.popleft()
            self._held[name] -= 1
            if self._held[name] <= 0:
                del self._held[name]
        return True

    def _hear_leftovers(self) -> None:
        """Pass over answers that nobody awaits and that are there."""
        while not self.is_broken:
            try:
                answer = self._received(socket.MSG_DONTWAIT)
            except (OSError, StoreAwayError):
                return
            if answer is not None:
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

    def _send(self, packet: bytes, descriptor: int | None) -> None:
        try:
            client_socket.send(self._socket, packet, descriptor)
        except BlockingIOError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._ended(error) from error

    def _receive(self, serial: int) -> Answer | None:
        try:
            return self._received(0, serial)
        except BlockingIOError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._ended(error) from error

    def _received(self, flags: int, serial: int | None = None) -> Answer | None:
        """Return an answer, or None where it is not that of `serial` and grants nothing."""
        packet, descriptors = client_socket.receive(self._socket, protocol.REPLY.size + 1, flags)
        if not packet:
            raise self._ended(None)
        if not descriptors and len(packet) == protocol.REPLY.size:
            *head, told = _HEAD_OF_REPLY.unpack_from(packet)
            if (*head,) == _OURS and told != serial:
                return None
        try:
            return Answer(protocol.unpack_reply(packet), descriptors)
        except protocol.ProtocolError as error:
            Answer(Reply(Status.ERROR), descriptors).close()
            self.close()
            raise StoreAwayError(
                self.path, f"is no model store of this version: {error}"
            ) from error

    def _allow_silence(self, silence_s: float) -> None:
        if silence_s != self._silence_s:
            client_socket.set_timeouts(self._socket, silence_s)
            self._silence_s = silence_s

    def _silent(self) -> StoreAwayError:
        self.close()
        return StoreAwayError(self.path, f"no answer for {self._silence_s:g} s")

    def _ended(self, error: OSError | None) -> StoreDiedError:
        self.close()
        return StoreDiedError(self.path, f"ended the connection{f': {error}' if error else ''}")

    def _close_if_done(self) -> None:
        if self._is_retired and not self._held:
            self.close()
