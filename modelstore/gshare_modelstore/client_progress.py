"""A progress bar for loads that take long, on a terminal; nothing elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S: Final = 1.0
"""Loads that are shorter show nothing."""

Report: TypeAlias = Callable[[int, int], None]
"""Takes bytes done and bytes in all; 0 in all where nobody knows."""


class Bar:
    """Draws what it is told from a second's work on, on standard error; told from any thread."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._drawn: tuple[Progress, TaskID] | None = None
        self._is_closed = False

    def report(self, done: int, total: int) -> None:
        """Draw that `done` of `total` bytes are there."""
        with self._lock:
            is_due = time.monotonic() - self._began >= PATIENCE_S and not self._is_closed
            if self._drawn is None and is_due:
                self._drawn = _draw(self._title)
            if self._drawn is not None:
                progress, task = self._drawn
                progress.update(task, completed=done, total=total or None)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            self._is_closed = True
            if self._drawn is not None:
                self._drawn[0].stop()
                self._drawn = None


@contextlib.contextmanager
def bar(title: str) -> Iterator[Report]:
    """Yield what to tell of the bytes that are there; rich draws it, where it is installed."""
    if not _is_watched():
        yield _ignore
        return
    drawn = Bar(title)
    try:
        yield drawn.report
    finally:
        drawn.close()


def _is_watched() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _ignore(done: int, total: int) -> None:
    """Draw nothing."""


def _draw(title: str) -> "tuple[Progress, TaskID] | None":
    try:
        from rich import console, progress  # noqa: PLC0415 (users' images need not have it)
    except ImportError:
        return None
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
    )
    drawn = progress.Progress(*columns, console=console.Console(stderr=True), transient=True)
    drawn.start()
    return drawn, drawn.add_task(title, total=None)
