"""Supervises the token daemons of a node: one `gshare-tokend` for each GPU with a timetable.

A daemon keeps nothing that matters: killed at any line, it takes up its folder's timetable, and its
clients connect again; until then each paces itself to its quota request. So it is started again at
once. Two never serve one folder: a daemon holds its folder's lock, and a second one ends at once
and is tried again until the first, somebody else's, is gone.
"""

import subprocess
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime import processes
from gshare.runtime.daemons import answers

from . import supervising
from .asker import Asker
from .children import Children

_POLL_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.4
_GRACE_S: Final = 2.0
_ASK_EVERY_S: Final = 1.0


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
    gpus = settings.state / "gpus"
    children = Children("tokend", partial(_spawn, settings), _LONGEST_PAUSE_S, _GRACE_S)
    asker = Asker(lambda key: answers(gpus / key), _ASK_EVERY_S)
    supervising.supervise(children, asker, partial(served, gpus), stop, _POLL_S)


def served(gpus: Path) -> tuple[str, ...]:
    """Return the GPU folders that have a timetable, by name."""
    return supervising.folders(gpus, lambda each: (each / names.FILE_TIMETABLE).exists())


def _spawn(settings: DaemonSettings, key: str) -> subprocess.Popen[bytes]:
    folder = settings.state / "gpus" / key
    flags = ["--dir", str(folder), "--window-us", str(settings.window_us)]
    return subprocess.Popen(
        [str(settings.binary), *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
    )
