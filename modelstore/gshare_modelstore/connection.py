"""One client's connection: its packets in, replies with their descriptors out, never blocking.

A client that does not read its replies is not read from, and after a while it is dropped. One that
sends anything but a packet of ours is dropped at once.
"""

import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from . import ancillary, protocol
from .protocol import Op, ProtocolError, Reply, Request, Status
from .terms import Identity

SILENCE_S: Final = 10.0
"""How long replies may lie unread."""


class HangUpError(Exception):
    """The connection is over: the client ended it, or sent what is no packet; the text says it."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request, with the memfd of a STORE."""

    request: Request
    memfd: int | None = None


class Connection:
    """One accepted socket. `dispose` takes descriptors that nobody wants."""

    def __init__(
        self, accepted: socket.socket, client: int, identity: Identity, lease: str
    ) -> None:
        accepted.setblocking(False)  # noqa: FBT003
        self.socket = accepted
        self.client = client
        self.identity = identity
        self.lease = lease
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._stuck_since = 0.0

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self.socket.fileno()

    @property
    def is_writing(self) -> bool:
        """Whether replies wait until the client has read others."""
        return bool(self._outbox)

    def is_silent(self, now: float) -> bool:
        """Tell whether the client has not read for too long; `now` as given to `send`."""
        return bool(self._outbox) and now - self._stuck_since > SILENCE_S

    def receive(self, dispose: Callable[[int], None]) -> Received | None:
        """Return the next request, None where none has come. Raises HangUpError."""
        try:
            packet, control, flags, _ = self.socket.recvmsg(
                protocol.REQUEST.size + 1, ancillary.CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise HangUpError(f"receive: {error}") from error
        descriptors = ancillary.descriptors(control)
        try:
            return _understood(packet, descriptors, flags)
        except HangUpError:
            for each in descriptors:
                dispose(each)
            raise

    def send(self, reply: Reply, descriptors: Sequence[int], now: float) -> None:
        """Send a reply, or keep it until the client has read. Raises HangUpError."""
        if reply.status is Status.PROGRESS and self._outbox:
            return
        if not self._outbox:
            self._stuck_since = now
        self._outbox.append((protocol.pack_reply(reply), tuple(descriptors)))
        self.flush(now)

    def flush(self, now: float) -> None:
        """Send what the client has room for. Raises HangUpError."""
        while self._outbox:
            packet, descriptors = self._outbox[0]
            try:
                socket.send_fds(self.socket, [packet], list(descriptors), socket.MSG_NOSIGNAL)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise HangUpError(f"send: {error}") from error
            self._outbox.popleft()
            self._stuck_since = now


def _understood(packet: bytes, descriptors: Sequence[int], flags: int) -> Received:
    if not packet:
        raise HangUpError("")
    if flags & socket.MSG_CTRUNC:
        raise HangUpError("descriptors were cut off")
    try:
        request = protocol.unpack_request(packet)
    except ProtocolError as error:
        raise HangUpError(str(error)) from error
    wanted = 1 if request.op is Op.STORE else 0
    if len(descriptors) != wanted:
        text = f"{request.op.name} with {len(descriptors)} descriptors: wants {wanted}"
        raise HangUpError(text)
    return Received(request, descriptors[0] if descriptors else None)
