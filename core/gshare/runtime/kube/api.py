"""Speaks HTTP with the API server: raw bytes in and out, one kind of error, any thread."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from gshare.runtime.http_errors import cause

from .errors import ApiError, ApiUnreachable
from .objects import Status

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 30.0
_CHUNK: Final = 64 * 1024
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
    def pool(self) -> urllib3.PoolManager:
        """Return the connections."""

    def authorization(self) -> dict[str, str]:
        """Return the header that says who asks."""


class ApiServer:
    """One API server as one user sees it; threads may share it.

    Every method raises ApiError where the server answers with an error, and ApiUnreachable (one
    of these) where it does not answer. Nothing is tried twice: callers know what may be repeated.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ahead_s = 0.0

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
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s)
        response = self._open("GET", path, {**params, "watch": "true"}, None, {}, timeout)
        _check(response, f"GET {path}")
        return Watch(response, f"watch of {path}")

    def _call(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Body | None = None,
        content_type: str = "application/json",
        timeout_s: float = READ_TIMEOUT_S,
    ) -> bytes:
        timeout = urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s)
        headers = {} if body is None else {"Content-Type": content_type}
        response = self._open(method, path, params, body, headers, timeout)
        _check(response, f"{method} {path}")
        return _all_of(response, f"{method} {path}")

    def _open(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Body | None,
        headers: dict[str, str],
        timeout: urllib3.Timeout,
    ) -> "BaseHTTPResponse":
        url = self._connection.host + path + (f"?{urlencode(params)}" if params else "")
        if body is not None and not isinstance(body, bytes):
            body = msgspec.json.encode(body)
        headers |= {"Accept": "application/json", "User-Agent": "gshare"}
        try:
            response = self._connection.pool.request(
                method,
                url,
                body=body,
                headers=headers | self._connection.authorization(),
                timeout=timeout,
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise ApiUnreachable(f"{self._connection.host}: {cause(error)}") from error
        self._note_clock(response.headers.get("Date"))
        return response

    def _note_clock(self, date: str | None) -> None:
        """Take note of when an answer was begun, by the server's clock; it leaves out fractions."""
        with contextlib.suppress(ValueError, TypeError):  # a proxy's own, or none
            ahead_s = parsedate_to_datetime(date or "").timestamp() + _HALF_S - time.time()
            self._ahead_s = ahead_s if abs(ahead_s) > _EXACT_S else 0.0


class Watch(Iterator[bytes]):
    """The lines of one open watch. Any thread may close it, which ends the iteration."""

    def __init__(self, response: "BaseHTTPResponse", what: str) -> None:
        self._response = response
        self._what = what
        self._rest = b""
        self._lines: list[bytes] = []
        self._is_closed = False

    def __next__(self) -> bytes:
        """Return the next whole line; a last one that was cut off is left out."""
        while not self._lines:
            chunk = self._read()
            if not chunk:
                self._response.close()
                raise StopIteration
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines = [line for line in reversed(lines) if line.strip()]
        return self._lines.pop()

    def close(self) -> None:
        """End the watch; a thread that waits for a line is woken."""
        self._is_closed = True
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            return  # it has ended by itself

    def _read(self) -> bytes:
        if self._is_closed:
            return b""
        try:
            return self._response.read1(_CHUNK)
        except (HTTPError, OSError, ValueError) as error:
            self._response.close()
            if self._is_closed:
                return b""
            raise ApiUnreachable(f"{self._what}: {cause(error)}") from error


def _check(response: "BaseHTTPResponse", what: str) -> None:
    if response.status < 400:
        return
    text = _all_of(response, what)
    status = Status(message=text.decode(errors="replace")[:300].strip())
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):  # a proxy's page
        status = msgspec.json.decode(text, type=Status)
    said = status.message or response.reason or ""
    raise ApiError(
        f"{what}: {response.status} {' '.join(said.split())}",
        response.status,
        status.reason,
        _seconds(response.headers.get("Retry-After")),
    )


def _all_of(response: "BaseHTTPResponse", what: str) -> bytes:
    try:
        content: bytes = response.read()
    except (HTTPError, OSError) as error:
        response.close()
        raise ApiUnreachable(f"{what}: {cause(error)}") from error
    response.release_conn()
    return content


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(json.loads(header))) if header else None
    except (ValueError, TypeError):
        return None
