"""Supervises the token daemons of a node: one `gshare-tokend` for each GPU with a timetable."""

import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """How the token daemons of a node run."""

    state: Path
    """The node's state directory; GPUs lie in its `gpus/`."""
    binary: Path
    """`gshare-tokend`."""
    window_us: int = 40_000
    """The token window; the leases' limits pages must say the same."""


def supervise(settings: DaemonSettings, stop: threading.Event) -> None:
    """Keep a daemon on every GPU folder with a timetable until `stop`; then end them.

    Call from the main thread: a daemon dies with the thread that started it.
    """
    raise NotImplementedError
