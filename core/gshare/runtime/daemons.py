"""Daemons of GPU folders on one machine: one of each kind a GPU, shared by runs, owned by none.

Two kinds: the token daemon of every GPU with leases, and the model store of those whose leases
announce a model. A daemon outlives the run that started it while other runs use its GPU. So it is
started detached, and carries in its environment which GPU folder it serves: whoever comes next
finds it by that mark, or by a socket of its. All calls are made with the state's lock held, so two
runs never start or stop the same daemon at once.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError

from . import processes, stores, tokend

START_TIMEOUT_S: Final = 5.0
STORE_START_TIMEOUT_S: Final = 20.0
"""A model store starts Python and a CUDA library, on a machine that may be busy with replicas."""
STORE_PAUSE_S: Final = 5.0
"""Between two starts of one, so that one that cannot run takes no processor time from others."""
PATIENCE_S: Final = 2.0
STOP_GRACE_S: Final = 1.0
_POLL_S: Final = 0.005
_STORE_POLL_S: Final = 0.02
_TOKEND: Final = "tokend"
_STORE: Final = "modelstore"


class TokenDaemons:
    """Starts, finds and stops the token daemons of GPU folders."""

    def __init__(self, binary: Path, window_us: int) -> None:
        self._binary = binary
        self._window_us = window_us
        self._started = _Started(_TOKEND)

    def ensure(self, folder: Path) -> bool:
        """Start the daemon of a GPU folder unless it answers; tell whether it was started.

        GshareError with its last words where it does not start.
        """
        if answers(folder):
            return False
        _stop(_TOKEND, folder)
        (folder / names.FOLDER_LEASES).mkdir(parents=True, exist_ok=True)
        command = [str(self._binary), "--dir", str(folder), "--window-us", str(self._window_us)]
        child = self._started.start(command, folder)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(folder):
            if child.poll() is not None or time.monotonic() > deadline:
                said = _said(_TOKEND, folder)
                raise GshareError(f"token daemon of {folder.name} did not start: {said}")
            time.sleep(_POLL_S)
        return True


class ModelStores:
    """Starts, finds and stops the model stores of GPU folders.

    `environment` is what a process needs to reach the GPUs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._started = _Started(_STORE)
        self._last: dict[Path, tuple[subprocess.Popen[bytes], float]] = {}
        self._silent_since_s: dict[Path, float] = {}

    def ensure(self, folder: Path) -> str:
        """Have a store run where the folder wants one, and wait until it serves its leases.

        Their programs ask as soon as they start. Returns in one line why it does not come to that,
        with the store's last words; empty where it does.
        """
        trouble = self.look_after(folder)
        deadline = time.monotonic() + STORE_START_TIMEOUT_S
        while not trouble and not store_serves(folder) and time.monotonic() < deadline:
            time.sleep(_STORE_POLL_S)
            trouble = self.look_after(folder)
        return trouble

    def look_after(self, folder: Path) -> str:
        """Start the store of a folder that wants one and has none; end one that hangs.

        Returns at once: in one line what is wrong with it, empty where nothing is.
        """
        if store_serves(folder):
            self._silent_since_s.pop(folder, None)
            return ""
        now_s = time.monotonic()
        silent_s = now_s - self._silent_since_s.setdefault(folder, now_s)
        if any(processes.carrying(names.ENV_RUN_ID, _mark(_STORE, folder))):
            if silent_s < STORE_START_TIMEOUT_S:
                return ""
            stop_store(folder)
            return f"model store of {folder.name} hung and was ended: {_said(_STORE, folder)}"
        child, started_s = self._last.get(folder, (None, -STORE_PAUSE_S))
        if now_s - started_s >= STORE_PAUSE_S:
            environment = {**self._environment, names.ENV_VISIBLE_DEVICES: folder.name}
            started = self._started.start(store_command(folder), folder, environment)
            self._last[folder] = (started, now_s)
        has_failed = child is not None and (child.poll() or 0) > 0
        return f"model store of {folder.name} ended: {_said(_STORE, folder)}" if has_failed else ""


@dataclass(frozen=True, slots=True)
class LocalDaemons:
    """The daemons of a machine's GPUs; `stores` is None where models are not shared."""

    tokens: TokenDaemons
    stores: ModelStores | None = None

    def serve(self, folder: Path) -> bool:
        """Tell whether all that should run on a GPU folder does, and answers."""
        return answers(folder) and (self.stores is None or store_serves(folder))


def store_command(folder: Path) -> list[str]:
    """Return the command line of a GPU folder's model store."""
    return [sys.executable, "-m", "gshare_modelstore", "--dir", str(folder)]


def answers(folder: Path) -> bool:
    """Tell whether the folder's token daemon answers on its control socket."""
    try:
        tokend.Control(folder, timeout_s=PATIENCE_S).ping()
    except tokend.TokenDaemonError:
        return False
    return True


def store_serves(folder: Path) -> bool:
    """Tell whether the folder's model store answers, and all leases that announce a model may ask.

    Also true where none is wanted.
    """
    if not stores.is_wanted(folder):
        return True
    return not stores.unserved(folder) and stores.answers(folder, PATIENCE_S)


def stop(folder: Path) -> None:
    """End the daemons of a GPU folder, if any, answering or not."""
    stop_store(folder)
    _stop(_TOKEND, folder)


def stop_store(folder: Path) -> None:
    """End the model store of a GPU folder, if any, answering or not."""
    _stop(_STORE, folder)


class _Started:
    """Starts daemons of one kind, and reaps those that ended while we live."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a daemon for `folder`, detached; GshareError if there is no such program."""
        self._children = [child for child in self._children if child.poll() is None]
        try:
            with _log(self._kind, folder).open("ab") as log:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                    env=_untied(environment or {}) | {names.ENV_RUN_ID: _mark(self._kind, folder)},
                )
        except OSError as error:
            raise GshareError(f"{self._kind} {command[0]}: {error.strerror}") from error
        self._children.append(child)
        return child


def _untied(more: Mapping[str, str]) -> dict[str, str]:
    """Return our environment and `more`, without what ties a process to a lease.

    A lease may end before the daemon, which is nobody's in particular.
    """
    tied = {names.ENV_LEASE_DIR, names.ENV_PRELOAD, names.ENV_MPS_PERCENTAGE}
    return {name: value for name, value in {**os.environ, **more}.items() if name not in tied}


def _stop(kind: str, folder: Path) -> None:
    processes.stop(processes.carrying(names.ENV_RUN_ID, _mark(kind, folder)), STOP_GRACE_S)


def _mark(kind: str, folder: Path) -> str:
    return f"{kind}:{folder}"


def _log(kind: str, folder: Path) -> Path:
    return folder / f"{kind}.log"


def _said(kind: str, folder: Path) -> str:
    """Return the last line of the daemon's log."""
    try:
        lines = _log(kind, folder).read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else "it said nothing"
