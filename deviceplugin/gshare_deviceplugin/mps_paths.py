"""Where each GPU's MPS control daemon serves, and how its keeper is asked for something.

STATE/mps/shm                     what clients and servers share, over /dev/shm in both
STATE/mps/<uuid>/pipe             CUDA_MPS_PIPE_DIRECTORY
STATE/mps/<uuid>/log              CUDA_MPS_LOG_DIRECTORY
STATE/mps/<uuid>/ready            there while the control daemon answers
STATE/mps/<uuid>/ending/<pod uid> a pod whose clients shall be ended; holds when
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare.runtime.state import is_locked

from .presence import Presence

_MPS: Final = "mps"


@dataclass(frozen=True, slots=True)
class MpsPaths:
    """The folders of one GPU's MPS control daemon."""

    state: Path
    uuid: str

    @property
    def folder(self) -> Path:
        """Return the GPU's folder."""
        return self.state / _MPS / self.uuid

    @property
    def pipe(self) -> Path:
        """Return the daemon's pipe directory, which its clients see."""
        return self.folder / "pipe"

    @property
    def log(self) -> Path:
        """Return the daemon's log directory."""
        return self.folder / "log"

    @property
    def ready(self) -> Path:
        """Return the file that is locked while the daemon answers."""
        return self.folder / "ready"

    @property
    def ending(self) -> Path:
        """Return the folder of pods that are about to be killed."""
        return self.folder / "ending"

    @property
    def shm(self) -> Path:
        """Return what takes the place of /dev/shm, for all GPUs of the node."""
        return self.state / _MPS / "shm"


def serving(state: Path, uuid: str) -> MpsPaths | None:
    """Return where a GPU's MPS control daemon serves; None while none answers."""
    paths = MpsPaths(state, uuid)
    return paths if is_locked(paths.ready) else None


def end_clients_at(state: Path, uuid: str, pod_uid: str, deadline_s: float) -> None:
    """Have a pod's MPS clients ended safely just before `deadline_s`, in seconds since the epoch.

    A client killed with work outstanding may hang its server and all neighbours. So whoever knows
    that a pod terminates says so here, as often as it likes; the deadline is the pod's
    `deletionTimestamp`, at which the kubelet kills. Returns at once; without MPS it does nothing.
    """
    paths = serving(state, uuid)
    if paths is None:
        return
    draft = paths.ending / f".{pod_uid}.new"
    draft.write_text(f"{deadline_s:.3f}\n")
    draft.replace(paths.ending / pod_uid)


def prepare(paths: MpsPaths) -> None:
    """Make a daemon's folders, and the memory that all users share."""
    for folder in (paths.folder, paths.pipe, paths.log, paths.ending, paths.shm):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    paths.shm.chmod(0o1777)


def known(state: Path) -> tuple[MpsPaths, ...]:
    """Return the GPUs that have, or had, a control daemon."""
    try:
        folders = sorted((state / _MPS).iterdir())
    except FileNotFoundError:
        return ()
    return tuple(MpsPaths(state, each.name) for each in folders if (each / "pipe").is_dir())


def requests(paths: MpsPaths) -> dict[str, float]:
    """Return which pods' clients shall be ended, and their deadlines in seconds since the epoch."""
    found = {}
    for file in paths.ending.glob("[!.]*") if paths.ending.is_dir() else ():
        with contextlib.suppress(OSError, ValueError):
            found[file.name] = float(file.read_text())
    return found


def readiness(state: Path) -> Presence:
    """Return where those who keep the daemons show which of them answer."""
    return Presence(lambda uuid: MpsPaths(state, uuid).ready)
