"""Serves /metrics, /healthz and /readyz on a port of their own."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from cheroot import wsgi
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

_TEXT: Final = "text/plain; charset=utf-8"
_THREADS: Final = 4
_STOP_S: Final = 1

_log = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Web:
    """The agent's small HTTP server. `missing` says what it is not ready for; empty when it is."""

    def __init__(
        self, host: str, port: int, collector: Collector, missing: Callable[[], str]
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)
        self._missing = missing
        self._server = wsgi.Server((host, port), self._answer, numthreads=_THREADS)
        self._server.shutdown_timeout = _STOP_S
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    def start(self) -> None:
        """Listen; OSError where the port is taken."""
        self._server.prepare()
        self._thread.start()
        _log.info("event=serving port=%d", self.port)

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._server.bind_addr[1])

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._route(str(environ.get("PATH_INFO", "")))
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _route(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == "/healthz":
            return "200 OK", _TEXT, b"ok\n"
        if path == "/readyz":
            missing = self._missing()
            status = "503 Service Unavailable" if missing else "200 OK"
            return status, _TEXT, f"{missing or 'ok'}\n".encode()
        return "404 Not Found", _TEXT, b"try /metrics, /healthz or /readyz\n"
