"""Token daemons on one machine: one a GPU, shared by runs, owned by none.

A daemon outlives the run that started it while other runs use its GPU. So it is started detached,
and carries in its environment which GPU folder it serves: whoever comes next finds it by that
mark, or by its control socket. All calls are made with the state's lock held, so two runs never
start or stop the same daemon at once.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError

from . import processes, tokend

START_TIMEOUT_S: Final = 5.0
PATIENCE_S: Final = 2.0
STOP_GRACE_S: Final = 1.0
_POLL_S: Final = 0.005
_LOG: Final = "tokend.log"


class TokenDaemons:
    """Starts, finds and stops the token daemons of GPU folders."""

    def __init__(self, binary: Path, window_us: int) -> None:
        self._binary = binary
        self._window_us = window_us
        self._started: list[subprocess.Popen[bytes]] = []

    def ensure(self, folder: Path) -> bool:
        """Start the daemon of a GPU folder unless it answers; tell whether it was started."""
        self._reap()
        if answers(folder):
            return False
        stop(folder)
        (folder / names.FOLDER_LEASES).mkdir(parents=True, exist_ok=True)
        child = self._spawn(folder)
        self._started.append(child)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(folder):
            if child.poll() is not None or time.monotonic() > deadline:
                raise GshareError(f"token daemon of {folder.name} did not start: {_said(folder)}")
            time.sleep(_POLL_S)
        return True

    def _spawn(self, folder: Path) -> subprocess.Popen[bytes]:
        command = [str(self._binary), "--dir", str(folder), "--window-us", str(self._window_us)]
        try:
            with (folder / _LOG).open("ab") as log:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                    env=_environment(folder),
                )
        except OSError as error:
            raise GshareError(f"token daemon {self._binary}: {error.strerror}") from error

    def _reap(self) -> None:
        self._started = [child for child in self._started if child.poll() is None]


def answers(folder: Path) -> bool:
    """Tell whether the folder's daemon answers on its control socket."""
    try:
        tokend.Control(folder, timeout_s=PATIENCE_S).ping()
    except tokend.TokenDaemonError:
        return False
    return True


def stop(folder: Path) -> None:
    """End the daemon of a GPU folder, if any, answering or not."""
    processes.stop(processes.carrying(names.ENV_RUN_ID, _mark(folder)), STOP_GRACE_S)


def _environment(folder: Path) -> dict[str, str]:
    """Return ours without what ties a process to a lease, which may end before the daemon."""
    tied = {names.ENV_LEASE_DIR, names.ENV_PRELOAD}
    plain = {name: value for name, value in os.environ.items() if name not in tied}
    return {**plain, names.ENV_RUN_ID: _mark(folder)}


def _mark(folder: Path) -> str:
    return f"tokend:{folder}"


def _said(folder: Path) -> str:
    """Return the last line of the daemon's log."""
    lines = (folder / _LOG).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
