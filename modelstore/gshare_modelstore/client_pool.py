"""The connections of one client: one for each thread that uses the store at a time."""

import contextlib
import os
import threading
from collections.abc import Iterator

from .client_connection import Connection
from .errors import StoreAwayError


class Connections:
    """The connections of one client: one for each thread that uses the store at a time.

    A fork gets connections of its own. It leaves those that it inherited open and alone: with
    them the store keeps the references of maps that the fork inherited, too.
    """

    def __init__(self, path: str | None, patience_s: float, silence_s: float) -> None:
        self.path = path
        self._first_patience_s = patience_s
        self._silence_s = silence_s
        self._inherited: list[Connection] = []
        self._connections: list[Connection] = []
        self._begin()

    @contextlib.contextmanager
    def take(self, patience_s: float = 0.0) -> Iterator[Connection]:
        """Yield a connection that nobody else uses; waits `patience_s` for a store that is away.

        StoreAwayError where nobody serves.
        """
        connection = self._idle() or self._new(patience_s)
        try:
            yield connection
        finally:
            connection.leave()

    def close(self) -> None:
        """End the connections, each when nothing that came over it is held any more.

        A later call connects again.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            connections, self._connections = self._connections, []
        for each in connections:
            each.retire()

    def _idle(self) -> Connection | None:
        if os.getpid() != self._pid:
            self._inherited += self._connections
            self._begin()
        with self._lock:
            self._connections = [each for each in self._connections if not each.is_broken]
            return next(
                (each for each in self._connections if each.lock.acquire(blocking=False)), None
            )

    def _new(self, patience_s: float) -> Connection:
        if self.path is None:
            raise StoreAwayError(None, "GSHARE_STORE_SOCKET and GSHARE_LEASE_DIR are not set")
        patience_s, self._first_patience_s = max(patience_s, self._first_patience_s), 0.0
        connection = Connection(self.path, patience_s, self._silence_s)
        connection.lock.acquire()
        with self._lock:
            self._connections.append(connection)
        return connection

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._connections = []
