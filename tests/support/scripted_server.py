"""A server that answers each request with the next of the bytes it was given, over plain or TLS."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from gshare.runtime.http1 import Stream


def reply(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer of HTTP/1.1 with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class ScriptedServer:
    """Listens while it is entered; with `tls` it speaks TLS, behind CONNECT where that comes first.

    An answer of nothing closes the connection instead, and so does the end of the answers.
    """

    answers: list[bytes]
    tls: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)
    """The first line of each request."""
    connections: int = 0

    def __enter__(self) -> Self:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port."""
        self._listener.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(ssl.SSLError),  # a client that does not trust us
            connection,
            self._secured(connection) as secured,
        ):
            self._answer(secured)

    def _answer(self, connection: socket.socket) -> None:
        for _ in self._requests(Stream(connection.recv)):
            answer = self.answers.pop(0) if self.answers else b""
            if not answer:
                return
            connection.sendall(answer)

    def _secured(self, connection: socket.socket) -> socket.socket:
        """Return the connection as it goes on after CONNECT and the handshake, if any."""
        if self.tls is None:
            return connection
        if connection.recv(1, socket.MSG_PEEK) == b"C":
            next(self._requests(Stream(connection.recv)))
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return self.tls.wrap_socket(connection, server_side=True)

    def _requests(self, stream: Stream) -> Iterator[None]:
        while (head := stream.head()) is not None:
            stream.exactly(head.length or 0)
            self.asked.append(" ".join(head.words))
            yield
