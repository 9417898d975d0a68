"""A FakeApiServer: lists, watches and writes over real HTTP, with troubles on request.

The real kube-apiserver is in the cluster tier; it cannot be asked to cut a line in half.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from .fake_api_http import Server
from .fake_api_state import FakeApiState


class FakeApiServer(FakeApiState):
    """Serves on a port of its own while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._server: Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Listen."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        self.is_ending.set()
        self.refuse_connections()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, folder: Path, namespace: str = "team") -> Path:
        """Write a kubeconfig for this server; return its path."""
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                    "users": [{"name": "someone", "user": {"token": "secret"}}],
                    "contexts": [
                        {
                            "name": "fake",
                            "context": {
                                "cluster": "fake",
                                "user": "someone",
                                "namespace": namespace,
                            },
                        }
                    ],
                }
            )
        )
        return path

    def listen(self) -> None:
        """Listen, at the port of the last time if there was one."""
        self._server = Server(self, self._port)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def connections(self) -> list[object]:
        """Return all connections that were made since it listens."""
        return list(self._server.sockets) if self._server else []

    def refuse_connections(self) -> None:
        """Close the port and every connection."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.close_all()
            server.server_close()


def wait_until(claim: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until `claim()` is true; AssertionError if it never is."""
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
