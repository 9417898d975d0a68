"""Shows other processes what holds for as long as we live: a locked file for each such thing."""

import fcntl
import os
from collections.abc import Callable, Collection
from pathlib import Path


class Presence:
    """Locked files, one for each thing that is shown; the locks go when we go.

    `gshare.runtime.state.is_locked` tells whether one is.
    """

    def __init__(self, file_of: Callable[[str], Path]) -> None:
        self._file_of = file_of
        self._held: dict[str, int] = {}

    def show(self, present: Collection[str]) -> None:
        """Show these things, and no others. What another process shows already is left to it."""
        for name in self._held.keys() - set(present):
            os.close(self._held.pop(name))
        for name in set(present) - self._held.keys():
            self._lock(name)

    def _lock(self, name: str) -> None:
        file = self._file_of(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            self._held[name] = descriptor
