"""Serves an application until SIGTERM, then drains.

Draining: /healthz answers 503 and each answer closes its connection, so that balancers and clients
leave; after `drain_seconds` the port closes; requests that were accepted are finished, each with
its answer; then `serve` returns.
"""

import dataclasses
import signal
import socket
import threading
import time
from typing import Any

import flask
from cheroot import wsgi

from . import app as http

_PAGE_THREADS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How the server listens and leaves."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes a free port."""
    metrics_port: int | None = None
    """Also serves /healthz and /metrics; they answer there however many requests wait."""
    threads: int = 16
    """Requests that may wait in the engine at once; more wait for a thread."""
    accept_queue: int = 128
    """Connections that the kernel keeps for us; cheroot's 5 drops some of a burst of 8."""
    drain_seconds: float = 0.3
    """From SIGTERM to closing the port: time for balancers to send work elsewhere."""
    finish_seconds: int = 20
    """Longest wait for accepted requests; with draining, below the usual 30 s of grace."""


class _Server(wsgi.Server):
    """Keeps connections that their clients have closed out of the queue of those that wait."""

    def process_conn(self, conn: Any) -> None:  # noqa: ANN401 (cheroot has no types)
        if _is_closed(conn):
            conn.close()
        else:
            super().process_conn(conn)


class _Listener:
    """A port that is served by threads of its own."""

    def __init__(self, app: flask.Flask, settings: Settings, port: int, threads: int) -> None:
        """Take the port; OSError where another has it."""
        self.server = _Server(
            (settings.host, port),
            app,
            numthreads=threads,
            request_queue_size=settings.accept_queue,
        )
        self.server.shutdown_timeout = settings.finish_seconds
        self.server.prepare()
        self._acceptor = threading.Thread(target=self.server.serve, name=f"acceptor-{self.port}")
        self._acceptor.start()

    @property
    def port(self) -> int:
        return _port(self.server)

    def close(self) -> None:
        """Close the port, finish what was accepted, end the threads."""
        self.server.stop()
        self._acceptor.join()


def serve(faces: http.Faces, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, drain, and return; OSError where a port is taken."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    whole = _Listener(faces.whole, settings, settings.port, settings.threads)
    faces.arrivals.watch(lambda: int(whole.server.requests.qsize))
    listeners = [whole]
    try:
        if settings.metrics_port is not None:
            pages = _Listener(faces.pages, settings, settings.metrics_port, _PAGE_THREADS)
            listeners.append(pages)
        print(f"ready on {settings.host}:{whole.port}", flush=True)  # noqa: T201
        ended.wait()
        faces.health.is_draining = True
        time.sleep(settings.drain_seconds)
    finally:
        for listener in listeners:
            listener.close()


def _is_closed(connection: Any) -> bool:  # noqa: ANN401
    """Tell whether the client of a connection that was served before has closed it since.

    Asked when there is something to read, so that looking does not wait.
    """
    if connection.last_used is None or connection.rfile.has_data():
        return False
    try:
        return not connection.socket.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _port(server: Any) -> int:  # noqa: ANN401 (cheroot has no types)
    """Return the port that `server` listens on."""
    return int(server.bind_addr[1])
