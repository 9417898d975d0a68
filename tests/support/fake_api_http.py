"""The HTTP side of a FakeApiServer: requests to answers, and what goes wrong on the wire."""

import contextlib
import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from . import fake_api_pods
from .fake_api_state import Asked, FakeApiState, Object
from .fake_api_troubles import (
    Answer,
    Bookmarks,
    Cut,
    End,
    ErrorEvent,
    Hang,
    Late,
    Lost,
    Raw,
    Trouble,
)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, fake: FakeApiState, port: int) -> None:
        self.fake = fake
        self.sockets: list[Any] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.sockets.append(request)
        super().process_request(request, client_address)

    def close_all(self) -> None:
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what the header Date says."""
        now_s = time.time() if timestamp is None else timestamp
        return super().date_time_string(now_s + self.server.fake.clock_ahead_s)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        asked = self._note()
        if self._is_fixed(asked):
            return
        if asked.path == "/version":
            self._json(200, {"major": "1", "minor": "37"})
            return
        _, plural, namespace, name = _parts(asked.path)
        if asked.is_watch:
            self._watch(asked, plural)
        elif name:
            self._one(self.server.fake.find(plural, namespace or "", name), plural, name)
        else:
            self._list(asked, plural, namespace)

    def do_POST(self) -> None:
        asked = self._note()
        if self._is_fixed(asked):
            return
        _, plural, namespace, name = _parts(asked.path)
        body = json.loads(asked.body)
        if asked.path.endswith("/binding"):
            self._bind(namespace or "", name, body)
            return
        if asked.path.endswith("/eviction"):
            self._answer(
                fake_api_pods.evict(self.server.fake, namespace or "", name, asked.params, body)
            )
            return
        body["metadata"].setdefault("namespace", namespace or "")
        self._json(201, self.server.fake.put(plural, body))

    def do_PATCH(self) -> None:
        asked = self._note()
        if self._is_fixed(asked):
            return
        _, plural, namespace, name = _parts(asked.path)
        known = self.server.fake.find(plural, namespace or "", name)
        if known is None:
            self._one(None, plural, name)
            return
        merged = _merged(json.loads(json.dumps(known)), json.loads(asked.body))
        self._json(200, self.server.fake.put(plural, merged))

    def do_DELETE(self) -> None:
        asked = self._note()
        _, plural, namespace, name = _parts(asked.path)
        known = self.server.fake.find(plural, namespace or "", name)
        if known:
            self.server.fake.drop(plural, name, namespace or "")
        self._one(known, plural, name)

    def _bind(self, namespace: str, name: str, body: Object) -> None:
        fake = self.server.fake
        trouble = fake.bind_troubles.popleft() if fake.bind_troubles else None
        if isinstance(trouble, Answer):
            self._status(trouble)
            return
        if isinstance(trouble, Late):
            fake.is_ending.wait(trouble.seconds)
        answer = fake_api_pods.bind(fake, namespace, name, body)
        if isinstance(trouble, Lost):
            self.close_connection = True
        else:
            with contextlib.suppress(OSError):
                self._answer(answer)

    def _answer(self, answer: Answer | Object) -> None:
        if isinstance(answer, Answer):
            self._status(answer)
        else:
            self._json(201, answer)

    def _note(self) -> Asked:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        params = dict(parse_qsl(parts.query))
        asked = Asked(
            time.monotonic(), self.command, parts.path, params, body, dict(self.headers.items())
        )
        self.server.fake.asked.append(asked)
        return asked

    def _is_fixed(self, asked: Asked) -> bool:
        fake = self.server.fake
        if asked.path in fake.refused:
            self._status(fake.refused[asked.path])
            return True
        if asked.path in fake.texts:
            self._bytes(200, fake.texts[asked.path].encode(), "text/plain")
            fake.texts[asked.path] = fake.later_texts.get(asked.path, fake.texts[asked.path])
            return True
        return False

    def _list(self, asked: Asked, plural: str, namespace: str | None) -> None:
        fake = self.server.fake
        trouble = fake.list_troubles.popleft() if fake.list_troubles else fake.every_list
        if isinstance(trouble, Answer):
            self._status(trouble)
            return
        items = fake.select(plural, namespace, asked.params)
        start = int(asked.params.get("continue") or 0)
        size = fake.page if "limit" in asked.params else len(items)
        rest = str(start + size) if start + size < len(items) else ""
        meta = {"resourceVersion": str(fake.version), "continue": rest}
        self._json(200, {"metadata": meta, "items": items[start : start + size]})

    def _watch(self, asked: Asked, plural: str) -> None:
        fake = self.server.fake
        version = int(asked.params["resourceVersion"])
        trouble = fake.watch_troubles.popleft() if fake.watch_troubles else fake.every_watch
        if isinstance(trouble, Answer):
            self._status(trouble)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if version < fake.oldest:
            trouble = ErrorEvent(410, "too old resource version")
        with contextlib.suppress(OSError):
            self._play(trouble)
            if not isinstance(trouble, Cut | Hang | End | ErrorEvent):
                self._follow(plural, version)
        self.close_connection = True

    def _play(self, trouble: Trouble | None) -> None:
        if isinstance(trouble, ErrorEvent):
            status = {"kind": "Status", "code": trouble.code, "message": trouble.message}
            self._chunk(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
        if isinstance(trouble, Raw):
            self._chunk(trouble.line + b"\n")
        if isinstance(trouble, Bookmarks):
            for version in trouble.versions:
                meta = {"metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
                self._chunk(json.dumps({"type": "BOOKMARK", "object": meta}).encode() + b"\n")
        if isinstance(trouble, Cut):
            self.wfile.write(b"%x\r\n" % (len(trouble.text) + 100) + trouble.text)
            self.wfile.flush()
        if isinstance(trouble, Hang):
            self.server.fake.is_ending.wait()
        if isinstance(trouble, End | ErrorEvent):
            self.wfile.write(b"0\r\n\r\n")

    def _follow(self, plural: str, version: int) -> None:
        while not self.server.fake.is_ending.is_set():
            for at, line in self.server.fake.events_after(version, plural, 0.05):
                self._chunk(line)
                version = at

    def _chunk(self, text: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def _one(self, found: Object | None, plural: str, name: str) -> None:
        if found is None:
            self._status(Answer(404, "NotFound", f'{plural} "{name}" not found'))
        else:
            self._json(200, found)

    def _status(self, answer: Answer) -> None:
        body = {
            "kind": "Status",
            "status": "Failure",
            "message": answer.message,
            "reason": answer.reason,
            "code": answer.status,
        }
        extra = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        self._bytes(answer.status, json.dumps(body).encode(), "application/json", extra)

    def _json(self, status: int, body: Object) -> None:
        self._bytes(status, json.dumps(body).encode(), "application/json")

    def _bytes(
        self, status: int, content: bytes, kind: str, extra: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


_ROOTS: Final = {"api": 2, "apis": 3}


def _parts(path: str) -> tuple[str, str, str | None, str]:
    """Return the group's path, the plural, the namespace (None: all) and the name ("": all)."""
    words = path.strip("/").split("/")
    root, rest = words[: _ROOTS[words[0]]], words[_ROOTS[words[0]] :]
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return "/".join(root), rest[0], namespace, rest[1] if len(rest) > 1 else ""


def _merged(known: Object, patch: Object) -> Object:
    for key, value in patch.items():
        if isinstance(value, dict):
            known[key] = _merged(known.get(key) or {}, value)
        elif value is None:
            known.pop(key, None)
        else:
            known[key] = value
    return known
