"""A small JSON client of the API server, for tests."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from .certificates import Pair
from .errors import ClusterError

_PATIENCE_S: Final = 30.0

Object = dict[str, Any]


class ApiStatusError(ClusterError):
    """The API server refused a request."""

    def __init__(self, request: str, status: int, message: str) -> None:
        super().__init__(f"{request}: {status}: {message}")
        self.status = status
        self.message = message


class ApiAwayError(ClusterError):
    """The API server does not answer."""


class Api:
    """Requests to one API server as its administrator; safe to use from many threads."""

    def __init__(self, server: str, authority: Path, client: Pair) -> None:
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(client.certificate, client.key)
        self._server = server
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def text(self, path: str) -> str:
        """Return what a GET answers, such as a pod's log or the API server's metrics."""
        return self._send("GET", path, None, "application/json").decode()

    def get(self, path: str) -> Object:
        """Return the object or list at `path`."""
        return self._json("GET", path, None)

    def items(self, path: str) -> list[Object]:
        """Return the objects of the list at `path`."""
        found: list[Object] = self.get(path)["items"]
        return found

    def post(self, path: str, body: Object) -> Object:
        """Create an object."""
        return self._json("POST", path, body)

    def put(self, path: str, body: Object) -> Object:
        """Replace an object."""
        return self._json("PUT", path, body)

    def patch(self, path: str, body: Object) -> Object:
        """Merge changes into an object."""
        return self._json("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str, body: Object | None = None) -> Object:
        """Delete an object; `body` may have DeleteOptions."""
        return self._json("DELETE", path, body)

    def _json(
        self, method: str, path: str, body: Object | None, kind: str = "application/json"
    ) -> Object:
        answer: Object = json.loads(self._send(method, path, body, kind))
        return answer

    def _send(self, method: str, path: str, body: Object | None, kind: str) -> bytes:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Accept": "application/json, */*"}
        asked = urllib.request.Request(  # noqa: S310 (the URL is our own API server's)
            self._server + path, data=content, headers=headers, method=method
        )
        try:
            with self._opener.open(asked, timeout=_PATIENCE_S) as answer:
                said: bytes = answer.read()
                return said
        except urllib.error.HTTPError as error:
            raise ApiStatusError(f"{method} {path}", error.code, _message(error)) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise ApiAwayError(f"{method} {path}: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    said = error.read().decode(errors="replace")
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said
