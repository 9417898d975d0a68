"""The HTTP server that the scheduler asks: three small requests a pod, on connections that stay.

A general server would spend more on each than the answer takes. Each thread here accepts a
connection, answers what comes over it, one request after the other, until it ends, and accepts the
next; further connections wait in the kernel's queue. While every thread has a connection, those
over which nothing comes are closed after a moment, so that they keep nobody waiting: their client
opens another when it has something to ask.
"""

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gshare.errors import GshareError
from gshare.runtime.address import Address
from gshare.runtime.http1 import Head, HttpError, Stream

_QUEUED: Final = 128
_LOOK_S: Final = 0.25
"""How often a connection over which nothing comes is looked at."""
_CROWDED_S: Final = 1.0
"""How long such a connection is kept while every thread has one."""
_REQUEST_S: Final = 30.0
"""Longest silence within a request, or while an answer is not taken."""
_STOP_S: Final = 2.0
"""How long answers under way are waited for at the end."""
_PAUSE_S: Final = 0.1
_MOST_BYTES: Final = 64 << 20
"""Longest request: 100,000 names take a tenth of it."""
_CLOSE: Final = "Connection: close\r\n"
TEXT: Final = "text/plain; charset=utf-8"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    method: str
    target: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200

    @classmethod
    def line(cls, text: str, status: int) -> "Reply":
        """Return one line of text."""
        return cls(f"{text}\n".encode(), TEXT, status)

    def message(self, *, is_last: bool) -> bytes:
        """Return it as it goes out; Go's client keeps no connection without the length."""
        head = (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
            f"Content-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n"
            f"{_CLOSE if is_last else ''}\r\n"
        )
        return head.encode() + self.body


class Server:
    """Answers with `answer`, which any of `threads` threads calls, from `start` to `stop`."""

    def __init__(
        self,
        address: Address,
        answer: Callable[[Request], Reply],
        threads: int,
        idle_timeout_s: float,
    ) -> None:
        self._address = address
        self._answer = answer
        self._idle_timeout_s = idle_timeout_s
        is_v6 = ":" in address.host
        self._listener = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET)
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # over the next
        self._free = threads
        self._threads = [
            threading.Thread(target=self._run, name=f"web-{number}", daemon=True)
            for number in range(threads)
        ]

    @property
    def port(self) -> int:
        """Return the port that it listens on, once it does."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Listen; GshareError where the address is taken."""
        host, port = self._address.host, self._address.port
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((host, port))
            self._listener.listen(_QUEUED)
        except OSError as error:
            raise GshareError(f"cannot listen on {host}:{port}: {error}") from error
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer what is under way, and end."""
        self._stopping.set()
        end = time.monotonic() + _STOP_S
        with contextlib.suppress(OSError):  # it does not listen
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes those that accept
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        self._listener.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._stopping.wait(_PAUSE_S):
                    _log.warning("event=accept_failed error=%r", str(error))
                continue
            self._add_free(-1)
            try:
                with connection:
                    self._serve(connection)
            except OSError as error:
                _log.info("event=connection_lost error=%r", str(error))
            except Exception:  # noqa: BLE001 (a service loop, logged)
                _log.exception("event=connection_failed")
            finally:
                self._add_free(+1)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_REQUEST_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._converse(connection)
        except HttpError as error:
            connection.sendall(Reply.line(str(error), 400).message(is_last=True))

    def _converse(self, connection: socket.socket) -> None:
        """Answer one request after the other, until the client or we have had enough."""
        stream = Stream(connection.recv)
        coming = select.poll()
        coming.register(connection, select.POLLIN)
        while stream.has_more or self._waits(coming):
            head = stream.head()
            if head is None:
                return
            reply, is_last = self._reply(stream, head)
            connection.sendall(reply.message(is_last=is_last))
            if is_last:
                return

    def _waits(self, coming: select.poll) -> bool:
        """Wait for the next request; False where it is not worth waiting any longer."""
        idle_s = 0.0
        while not coming.poll(1e3 * _LOOK_S):
            idle_s += _LOOK_S
            most_s = _CROWDED_S if self._free <= 0 else self._idle_timeout_s
            if self._stopping.is_set() or idle_s >= most_s:
                return False
        return not self._stopping.is_set()

    def _reply(self, stream: Stream, head: Head) -> tuple[Reply, bool]:
        """Return the answer to a request, and whether it is the last of its connection."""
        method, target, _ = head.words
        length = head.length or 0
        if head.is_chunked or length > _MOST_BYTES:
            return Reply.line(f"a body must have a length, at most {_MOST_BYTES}", 413), True
        request = Request(method, target, stream.exactly(length))
        return self._answer(request), self._stopping.is_set() or not head.keeps

    def _add_free(self, threads: int) -> None:
        with self._lock:
            self._free += threads
