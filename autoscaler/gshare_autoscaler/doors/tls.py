"""An HTTPS server for cheroot that asks for client certificates, and changes keys while it runs.

Two things differ from cheroot's own adapter. The handshake is made by a worker, once the client
has sent something: cheroot makes it on the one thread that accepts, so that a client which
connects and says nothing (a port scan, a TCP probe) would stop all others (cheroot issue 748).
And what is trusted may change at any time: connections made under other keys or another authority
are closed before their next request, which clients of HTTP repeat on a new one.
"""

import logging
import os
import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from socket import socket
from typing import Final

from cheroot import errors, wsgi
from cheroot.makefile import StreamReader, StreamWriter
from cheroot.server import HTTPConnection
from cheroot.ssl import Adapter
from flask import Flask

from gshare.runtime.address import Address

HANDSHAKE_S: Final = 5.0
"""Longest silence of a client that began a handshake; a worker waits for it."""
READ_S: Final = 10.0
"""Longest silence of a client that began a request."""
IDLE_S: Final = 120
"""A connection without requests is closed after this; Go's clients close theirs after 90 s."""
_SOON_MS: Final = 2
_STOP_S: Final = 2

VERIFIED: Final = "SSL_CLIENT_VERIFY"
COMMON_NAME: Final = "SSL_CLIENT_S_DN_CN"
"""Keys of a request's environment, as Apache's mod_ssl names them; no client can set them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """PEM texts: what to serve with, and who signs client certificates."""

    certificate: str
    key: str
    client_authority: str


class Tls(Adapter):
    """The server's keys of the moment; any thread may change them by `use`."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self._keys: Keys | None = None

    def use(self, keys: Keys) -> None:
        """Serve new connections with `keys`; ssl.SSLError or ValueError where they are none."""
        if keys == self._keys:
            return
        self.context = _context(keys)
        self._keys = keys

    def bind(self, sock: socket) -> socket:
        """Return the listening socket as it is."""
        return sock

    def wrap(self, sock: socket) -> tuple[socket, dict[str, str]]:
        """Return `sock` as one that will speak TLS; the handshake is not made yet."""
        try:
            wrapped = self.context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:
            sock.close()
            raise errors.FatalSSLAlert(str(error)) from error
        return wrapped, {}

    def get_environ(self) -> dict[str, str]:
        """Return nothing: what is known of a client is known after the handshake."""
        return {}

    def makefile(
        self, sock: socket, mode: str = "r", bufsize: int = -1
    ) -> StreamReader | StreamWriter:
        """Return a file over `sock`."""
        kind = StreamReader if "r" in mode else StreamWriter
        return kind(sock, mode, bufsize)


class Connection(HTTPConnection):
    """A connection that first shakes hands."""

    is_new = True
    is_greeted = False

    def communicate(self) -> bool:
        """Shake hands or answer one request; tell whether the connection goes on."""
        if not self.is_greeted:
            self.is_greeted = True
            if not self._shake_hands():
                return False
            # The request mostly follows at once; a client that waits goes back to cost no thread.
            if not _is_readable(self.socket):
                return True
        is_current = self.socket.context is self.server.ssl_adapter.context
        return is_current and bool(super().communicate())  # type: ignore[no-untyped-call]

    def _shake_hands(self) -> bool:
        self.socket.settimeout(HANDSHAKE_S)
        try:
            self.socket.do_handshake()
            self.ssl_env = _environ(self.socket.getpeercert())
            self.socket.settimeout(READ_S)
        except (OSError, ValueError) as error:
            _log.info("event=handshake_failed client=%s error=%r", self.remote_addr, str(error))
            return False
        return True


class Server(wsgi.Server):
    """An HTTPS server; silent connections wait where they cost no thread."""

    ConnectionClass = Connection
    # cheroot would count them under a lock for each answer; each costs a descriptor alone.
    keep_alive_conn_limit = None  # type: ignore[assignment]  # unlimited, says cheroot's docstring

    def __init__(self, address: Address, app: Flask, threads: int, tls: Tls) -> None:
        super().__init__(
            (address.host, address.port),
            app,
            numthreads=threads,
            timeout=IDLE_S,
            shutdown_timeout=_STOP_S,
            request_queue_size=1024,
        )
        self.ssl_adapter = tls

    def process_conn(self, conn: Connection) -> None:
        """Give a connection that has sent something to a worker; have a new one wait for that."""
        if conn.is_new:
            conn.is_new = False
            self.put_conn(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002 (cheroot's)
        """Write to this program's log instead of stderr."""
        _log.log(level, "event=web_server text=%r", msg, exc_info=traceback)


def _is_readable(sock: socket) -> bool:
    """Tell whether something has come, or comes within a moment."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(_SOON_MS))


def _context(keys: Keys) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # No session outlives its connection: a ticket would carry trust past a change of keys.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    # Optional, so that whoever brings none is told so by an answer of HTTP.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=keys.client_authority)
    _load(context, keys)
    return context


def _load(context: ssl.SSLContext, keys: Keys) -> None:
    """Load what `ssl` takes from files alone, from one in memory: the disk may be read-only."""
    file = os.memfd_create("gshare-serving-keys", os.MFD_CLOEXEC)
    try:
        os.write(file, f"{keys.key}\n{keys.certificate}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _environ(certificate: Mapping[str, object] | None) -> dict[str, str]:
    """Return what a request's environment says of the client; `ssl` has verified it if any."""
    scheme = {"wsgi.url_scheme": "https", "HTTPS": "on"}
    if not certificate:
        return scheme | {VERIFIED: "NONE", COMMON_NAME: ""}
    subject = certificate.get("subject")
    pairs = [pair for part in subject for pair in part] if isinstance(subject, tuple) else []
    names = [value for key, value in pairs if key == "commonName"]
    return scheme | {VERIFIED: "SUCCESS", COMMON_NAME: names[-1] if names else ""}
