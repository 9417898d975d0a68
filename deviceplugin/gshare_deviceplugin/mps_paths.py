"""Where each GPU's MPS control daemon serves, and how its keeper is asked for something.

STATE/mps/shm                     what clients and servers share, over /dev/shm in both
STATE/mps/<uuid>/pipe             CUDA_MPS_PIPE_DIRECTORY
STATE/mps/<uuid>/log              CUDA_MPS_LOG_DIRECTORY
STATE/mps/<uuid>/ready            there while the control daemon answers
STATE/mps/<uuid>/ending/<pod uid> a pod whose clients shall be ended; holds when
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
        """Return the file that is there while the daemon answers."""
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
    return paths if paths.ready.exists() else None


def end_clients_at(state: Path, uuid: str, pod_uid: str, deadline_s: float) -> None:
    """Have a pod's MPS clients ended safely just before `deadline_s`, in seconds since the epoch.

    A client killed with work outstanding may hang its server and all neighbours. So whoever knows
    that a pod terminates says so here, as often as it likes; the deadline is the pod's
    `deletionTimestamp`, at which the kubelet kills. Returns at once; without MPS it does nothing.
    """
    paths = serving(state, uuid)
    if paths is None:
        return
    paths.ending.mkdir(exist_ok=True)
    draft = paths.ending / f".{pod_uid}.new"
    draft.write_text(f"{deadline_s:.3f}\n")
    draft.replace(paths.ending / pod_uid)
