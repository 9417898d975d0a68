"""One HTTP server on a thread of its own, with the pages that every process has."""

import threading
from collections.abc import Callable
from typing import Final

from cheroot import wsgi
from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gshare.errors import GshareError

from .address import Address

TEXT: Final = "text/plain; charset=utf-8"
_STOP_S: Final = 2
_IDLE_S: Final = 120
"""Above the 90 s for which Go keeps an idle connection."""


class WebServer:
    """Serves `app` on `address` from `start` to `stop`."""

    def __init__(self, address: Address, app: Flask, threads: int) -> None:
        self._server = wsgi.Server(
            (address.host, address.port),
            app,
            numthreads=threads,
            timeout=_IDLE_S,
            shutdown_timeout=_STOP_S,
            request_queue_size=128,
        )
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that it listens on, once it does."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Listen; GshareError where the address is taken."""
        try:
            self._server.prepare()
        except OSError as error:
            host, port = self._server.bind_addr[:2]
            raise GshareError(f"cannot listen on {host}:{port}: {error}") from error
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, and end."""
        self._server.stop()
        if self._thread.ident is not None:
            self._thread.join()


def app(name: str, registry: CollectorRegistry, trouble: Callable[[], str]) -> Flask:
    """Return an application with /metrics, /healthz, and /readyz: 503 with `trouble` if any."""
    found = Flask(name)

    @found.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @found.get("/healthz")
    def healthz() -> Response:
        return text("ok")

    @found.get("/readyz")
    def readyz() -> Response:
        said = trouble()
        return text(said or "ok", 503 if said else 200)

    return found


def text(line: str, status: int = 200) -> Response:
    """Return one line of text."""
    return Response(f"{line}\n", status, content_type=TEXT)
