"""A FakePrometheus: answers queries over real HTTP with the rates that a test sets.

The real one is in the cluster tier; it cannot be asked to hang, or to give data of the past.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

Answer = tuple[int, bytes]
RateAt = Callable[[float], float | None]
"""The rate at a time in seconds of the epoch; None for no series."""


def constant(rate: float) -> RateAt:
    """Return a rate that never changes."""
    return lambda _: rate


@dataclass
class FakePrometheus:
    """Serves on a port of its own while it is entered."""

    rate: RateAt = field(default_factory=lambda: constant(0.0))
    """Of every query that `rates` does not name."""
    rates: dict[str, RateAt] = field(default_factory=dict)
    """By a part of the query."""
    fixed: dict[str, Answer] = field(default_factory=dict)
    """Whole answers by a part of the query."""
    starts_at_s: float = 0.0
    """Before this time there are no data."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths and fields of the requests."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last request."""
    is_hanging: threading.Event = field(default_factory=threading.Event)
    hanging: set[str] = field(default_factory=set)
    """Parts of queries that are never answered."""

    def __post_init__(self) -> None:
        """Begin without a port."""
        self._server: _Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Listen."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.is_hanging.clear()
        self.hanging.clear()
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def listen(self) -> None:
        """Listen, at the port of the last time if there was one."""
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on, and cut those that are open."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.cut_all()
            server.server_close()

    def answer(self, path: str, asked: dict[str, str]) -> Answer:
        """Return what to say to a request."""
        query = asked["query"]
        for part, answer in self.fixed.items():
            if part in query:
                return answer
        rate = next((each for part, each in self.rates.items() if part in query), self.rate)
        if path.endswith("query_range"):
            start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
            times = [start + index * step for index in range(int((end - start) / step) + 1)]
            values = [[at, text] for at in times if (text := self._text(rate, at)) is not None]
            return data("matrix", [{"metric": {}, "values": values}] if values else [])
        now = time.time()
        text = self._text(rate, now)
        return data("vector", [] if text is None else [{"metric": {}, "value": [now, text]}])

    def _text(self, rate: RateAt, at_s: float) -> str | None:
        value = rate(at_s) if at_s >= self.starts_at_s else None
        return None if value is None else str(value)


def data(kind: str, result: Any) -> Answer:
    """Return a good answer."""
    found = {"status": "success", "data": {"resultType": kind, "result": result}}
    return 200, json.dumps(found).encode()


def failure(status: int, kind: str, text: str) -> Answer:
    """Return an answer that says what is wrong."""
    return status, json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, fake: FakePrometheus, port: int) -> None:
        self.fake = fake
        self._open: list[Any] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        super().process_request(request, client_address)

    def cut_all(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {key: values[0] for key, values in parse_qs(body).items()}
        fake.asked.append((self.path, asked))
        fake.headers = dict(self.headers.items())
        while fake.is_hanging.is_set() or any(part in asked["query"] for part in fake.hanging):
            time.sleep(0.02)
        status, content = fake.answer(self.path, asked)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
