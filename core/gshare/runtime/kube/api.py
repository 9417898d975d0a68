"""Speaks HTTP with the API server: raw bytes in and out, one kind of error, any thread."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlencode

import msgspec

from gshare.runtime.http1 import Head, HttpError
from gshare.runtime.http_errors import cause

from .errors import ApiError, ApiUnreachable
from .objects import Status
from .wires import Wire, Wires

if TYPE_CHECKING:
    from urllib3 import PoolManager

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 30.0
_PATH: Final = "/%:@!$&'()*+,;=~"
"""What stands in a path as it is, beside letters, digits and `_.-`."""
_REFUSED: Final = 400
_HALF_S: Final = 0.5
# How exactly a date in whole seconds, some time on its way, tells a clock.
_EXACT_S: Final = 2.0

Body = bytes | Mapping[str, object]
Params = Mapping[str, str | int]


class Connection(Protocol):
    """Where the API server is and how to reach it."""

    @property
    def host(self) -> str:
        """Return the server's URL."""

    @property
    def context(self) -> str:
        """Return the name of the kubeconfig's context."""

    @property
    def namespace(self) -> str:
        """Return the namespace meant where none is said."""

    @property
    def pool(self) -> "PoolManager":
        """Return what connects."""

    def authorization(self) -> dict[str, str]:
        """Return the header that says who asks."""


class ApiServer:
    """One API server as one user sees it; threads may share it.

    Every method raises ApiError where the server answers with an error, and ApiUnreachable (one
    of these) where it does not answer. Nothing is tried twice: callers know what may be repeated.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wires = Wires(connection.host, connection.pool)
        self._ahead_s = 0.0
        self._date = ""

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> "ApiServer":
        """Return the server that a kubeconfig names, or the one this pod runs under.

        GshareError, with one line that says what to do, where there is neither.
        """
        from . import configuration  # noqa: PLC0415 (0.2 s, which most commands need not pay)

        return cls(configuration.find(kubeconfig, context))

    @property
    def namespace(self) -> str:
        """Return the namespace of the context, or "default"."""
        return self._connection.namespace

    @property
    def context(self) -> str:
        """Return the name of the kubeconfig's context; empty in a pod."""
        return self._connection.context

    @property
    def host(self) -> str:
        """Return the server's URL."""
        return self._connection.host

    @property
    def ahead_s(self) -> float:
        """Return how far the server's clock is ahead of ours by its last answer, to a second."""
        return self._ahead_s

    def now_s(self) -> float:
        """Return the time of day as the server has it, as are the times in its objects."""
        return time.time() + self._ahead_s

    def get(
        self, path: str, params: Params | None = None, timeout_s: float = READ_TIMEOUT_S
    ) -> bytes:
        """Return what stands at `path`."""
        return self._call("GET", path, params, timeout_s=timeout_s)

    def post(
        self,
        path: str,
        body: Body,
        params: Params | None = None,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> bytes:
        """Create `body` under `path`; return the answer."""
        return self._call("POST", path, params, body, timeout_s=timeout_s)

    def patch(
        self,
        path: str,
        body: Body,
        params: Params | None = None,
        content_type: str = "application/merge-patch+json",
        timeout_s: float = READ_TIMEOUT_S,
    ) -> bytes:
        """Change what stands at `path`; return the answer."""
        return self._call("PATCH", path, params, body, content_type, timeout_s)

    def delete(
        self,
        path: str,
        body: Body | None = None,
        params: Params | None = None,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> bytes:
        """Delete what stands at `path`; return the answer."""
        return self._call("DELETE", path, params, body, timeout_s=timeout_s)

    def watch(self, path: str, params: Params, read_timeout_s: float) -> "Watch":
        """Open a watch and return its lines; ApiUnreachable where none comes for so long."""
        message = self._message("GET", path, {**params, "watch": "true"})
        wire, head = self._wires.open(message, CONNECT_TIMEOUT_S, read_timeout_s)
        self._note_clock(head)
        if head.status >= _REFUSED:
            raise _error(f"GET {path}", head, self._wires.finish(wire, head))
        return Watch(wire, head, f"watch of {path}")

    def _call(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Body | None = None,
        content_type: str = "application/json",
        timeout_s: float = READ_TIMEOUT_S,
    ) -> bytes:
        message = self._message(method, path, params, body, content_type)
        answer = self._wires.ask(message, min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._note_clock(answer.head)
        if answer.head.status >= _REFUSED:
            raise _error(f"{method} {path}", answer.head, answer.content)
        return answer.content

    def _message(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Body | None = None,
        content_type: str = "",
    ) -> bytes:
        """Return a whole request, so that it goes out in one piece."""
        query = f"?{urlencode(params)}" if params else ""
        lines = [
            f"{method} {self._wires.prefix}{quote(path, _PATH)}{query} HTTP/1.1",
            f"Host: {self._wires.name}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "User-Agent: gshare",
            *(f"{name}: {value}" for name, value in self._connection.authorization().items()),
        ]
        content = b""
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            lines += [f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + content

    def _note_clock(self, head: Head) -> None:
        """Take note of when an answer was begun, by the server's clock; it leaves out fractions."""
        date = head.headers.get("date", "")
        if date == self._date:
            return
        self._date = date
        with contextlib.suppress(ValueError, TypeError):  # a proxy's own, or none
            ahead_s = parsedate_to_datetime(date).timestamp() + _HALF_S - time.time()
            self._ahead_s = ahead_s if abs(ahead_s) > _EXACT_S else 0.0


class Watch(Iterator[bytes]):
    """The lines of one open watch. Any thread may close it, which ends the iteration."""

    def __init__(self, wire: Wire, head: Head, what: str) -> None:
        self._wire = wire
        self._head = head
        self._what = what
        self._rest = b""
        self._lines: list[bytes] = []
        self._is_closed = False
        self._is_reading = False

    def __next__(self) -> bytes:
        """Return the next whole line; a last one that was cut off is left out."""
        while not self._lines:
            piece = self._piece()
            if not piece:
                raise StopIteration
            *lines, self._rest = (self._rest + piece).split(b"\n")
            self._lines = [line for line in reversed(lines) if line.strip()]
        return self._lines.pop()

    def close(self) -> None:
        """End the watch; a thread that waits for a line is woken."""
        self._is_closed = True
        if self._is_reading:
            self._wire.shut()  # the reader closes it: a number that is closed may be another's soon
        else:
            self._wire.close()

    def _piece(self) -> bytes:
        """Return what has come, once something has; nothing at the end, and the wire is closed."""
        piece, self._is_reading = b"", True
        try:
            if not self._is_closed:
                piece = self._wire.some(self._head)
        except (HttpError, OSError, ValueError) as error:
            if not self._is_closed:
                raise ApiUnreachable(f"{self._what}: {cause(error)}") from error
        finally:
            self._is_reading = False
            if not piece or self._is_closed:
                self._wire.close()
        return piece


def _error(what: str, head: Head, content: bytes) -> ApiError:
    """Return what an answer of an error says."""
    status = Status(message=content.decode(errors="replace")[:300].strip())
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):  # a proxy's page
        status = msgspec.json.decode(content, type=Status)
    said = status.message or head.words[2]
    return ApiError(
        f"{what}: {head.status} {' '.join(said.split())}",
        head.status,
        status.reason,
        _seconds(head.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(json.loads(header))) if header else None
    except (ValueError, TypeError):
        return None
