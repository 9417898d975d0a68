"""Connections to the API server, kept from one request to the next.

The official client's pool knows how to connect: certificates, names, proxies. What it does for
each request after that costs 0.2 ms, five times the request itself, which an extender that binds a
hundred pods a second has not; so the messages are written and read here.
"""

import contextlib
import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError
from urllib3.util.wait import wait_for_read

from gshare.errors import GshareError
from gshare.runtime.http1 import Head, HttpError, Stream
from gshare.runtime.http_errors import cause

from .errors import ApiUnreachable

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.connection import HTTPConnection

_KEPT: Final = 16
_FAILURES: Final = (HTTPError, HttpError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the head of a reply, and all of its body."""

    head: Head
    content: bytes


class Wire:
    """One open connection, for one request at a time."""

    def __init__(self, connection: "HTTPConnection") -> None:
        self._connection = connection
        self._socket = connection.sock
        self._stream = Stream(self._socket.recv)

    def begin(self, message: bytes, timeout_s: float) -> Head:
        """Send a request and return the head of its reply; no read may take longer than that."""
        self._socket.settimeout(timeout_s)
        self._socket.sendall(message)
        head = self._stream.head()
        if head is None:
            raise HttpError("the connection broke off")
        if not (head.words[0].startswith("HTTP/1.") and head.status):
            raise HttpError(f"an answer that begins with {' '.join(head.words)[:80]!r}")
        return head

    def body(self, head: Head) -> bytes:
        """Return the body of the reply."""
        return self._stream.body(head)

    def some(self, head: Head) -> bytes:
        """Return what there is of a body without a length, once there is some; b"" at its end."""
        return self._stream.some(head)

    @property
    def is_open(self) -> bool:
        """Tell whether it can be asked: a server that speaks unasked has closed, or is about to."""
        return not self._stream.has_more and not wait_for_read(self._socket, timeout=0.0)

    def shut(self) -> None:
        """End what another thread is reading."""
        with contextlib.suppress(OSError, ValueError):  # it has ended by itself
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Wires:
    """The connections to one server. Any thread may call; ApiUnreachable where no answer comes."""

    def __init__(self, host: str, pool: "PoolManager") -> None:
        self.host = host if "://" in host else f"http://{host}"
        """The server's URL."""
        try:
            url = urlsplit(self.host)
            self._pool = pool.connection_from_url(self.host)
        except ValueError as error:
            raise GshareError(f"API server {host!r}: {error}") from error
        self._idle: deque[Wire] = deque()
        self.name = url.netloc.rpartition("@")[2]
        """Its name and port, for the header Host."""
        is_forwarded = url.scheme == "http" and self._pool.proxy is not None
        self.prefix = (self.host if is_forwarded else url.path).rstrip("/")
        """What stands before a path in the first line of a request."""

    def ask(self, message: bytes, connect_s: float, timeout_s: float) -> Answer:
        """Send a request and return the whole answer."""
        wire, head = self.open(message, connect_s, timeout_s)
        return Answer(head, self.finish(wire, head))

    def open(self, message: bytes, connect_s: float, timeout_s: float) -> tuple[Wire, Head]:
        """Send a request, and return what its answer comes over, with the head of that.

        The wire is the caller's, to `finish` or to close.
        """
        wire = self._kept() or self._connected(connect_s)
        try:
            return wire, wire.begin(message, timeout_s)
        except _FAILURES as error:
            wire.close()
            raise self._unreachable(error) from error

    def finish(self, wire: Wire, head: Head) -> bytes:
        """Return the body of an answer, and keep the wire for the next request."""
        try:
            content = wire.body(head)
        except _FAILURES as error:
            wire.close()
            raise self._unreachable(error) from error
        if head.is_last or len(self._idle) >= _KEPT:
            wire.close()
        else:
            self._idle.append(wire)
        return content

    def _kept(self) -> Wire | None:
        """Return an idle wire, the one used last; close those that the server has given up."""
        with contextlib.suppress(IndexError):
            while True:
                wire = self._idle.pop()
                if wire.is_open:
                    return wire
                wire.close()
        return None

    def _connected(self, connect_s: float) -> Wire:
        """Connect as the client's pool would: it has no public name for that alone."""
        pool = self._pool
        connection = cast("HTTPConnection", pool._new_conn())  # noqa: SLF001
        connection.timeout = connect_s
        try:
            if pool.proxy is not None:
                pool._prepare_proxy(connection)  # noqa: SLF001
            pool._validate_conn(connection)  # noqa: SLF001
            if connection.is_closed:
                connection.connect()
        except (HTTPError, OSError) as error:
            connection.close()
            raise self._unreachable(error) from error
        return Wire(connection)

    def _unreachable(self, error: Exception) -> ApiUnreachable:
        return ApiUnreachable(f"{self.host}: {cause(error)}")
