"""Serves an application until SIGTERM, then drains.

Draining: /healthz answers 503 and each answer closes its connection, so that balancers and clients
leave; after `drain_seconds` the port closes; requests that were accepted are finished, each with
its answer; then `serve` returns.
"""

import dataclasses
import signal
import threading
import time
from typing import Any

import flask
from cheroot import wsgi

from . import app as http


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How the server listens and leaves."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 takes a free port."""
    threads: int = 16
    """Requests that may wait in the process at once; more wait in the accept queue."""
    accept_queue: int = 128
    """Connections that the kernel keeps for us; cheroot's 5 drops some of a burst of 8."""
    drain_seconds: float = 0.3
    """From SIGTERM to closing the port: time for balancers to send work elsewhere."""
    finish_seconds: int = 25
    """Longest wait for accepted requests; below the usual 30 s of termination grace."""


def serve(app: flask.Flask, health: http.Health, settings: Settings) -> None:
    """Serve `app` until SIGTERM or SIGINT, drain, and return; OSError where the port is taken."""
    server = wsgi.Server(
        (settings.host, settings.port),
        app,
        numthreads=settings.threads,
        request_queue_size=settings.accept_queue,
    )
    server.shutdown_timeout = settings.finish_seconds
    server.prepare()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    acceptor = threading.Thread(target=server.serve, name="acceptor")
    acceptor.start()
    print(f"ready on {settings.host}:{_port(server)}", flush=True)  # noqa: T201
    ended.wait()
    health.is_draining = True
    time.sleep(settings.drain_seconds)
    server.stop()
    acceptor.join()


def _port(server: Any) -> int:  # noqa: ANN401 (cheroot has no types)
    """Return the port that `server` listens on."""
    return int(server.bind_addr[1])
