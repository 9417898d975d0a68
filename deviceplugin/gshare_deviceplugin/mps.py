"""NVIDIA MPS on a node: one control daemon a GPU, so that one client's fault stays on one GPU.

A daemon runs for each GPU that NVML tells of, with the GPU in EXCLUSIVE_PROCESS: a client that does
not reach it then fails, and does not run outside of its SM share. Its end is the end of its
clients, so this process is updated only on purpose. It wants root, the host's process ids
(`mps_clients`), and STATE/mps/shm over its /dev/shm, where server and clients meet.
"""

import logging
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.runtime import processes
from gshare_simgpu import SimulatedGpuError, SimulatedNode

from . import mps_control, nvml
from .asker import Asker
from .children import Children
from .mps_clients import ClientEnder
from .mps_control import MpsControl
from .mps_paths import MpsPaths, prepare, readiness

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_GRACE_S: Final = 5.0
_ASK_EVERY_S: Final = 1.0
_FIND_EVERY_S: Final = 10.0
_FIRST_FIND_EVERY_S: Final = 1.0
_PROBE_S: Final = 2.0
_MULTI_USER: Final = "-multiuser-server"
# What a daemon says of each question that it is asked.
_CHATTER: Final = (b"Accepting connection", b"NEW UI", b"UI closed", b"Cmd:get_")


@dataclass(frozen=True, slots=True)
class MpsSettings:
    """Which control daemons run, and where."""

    state: Path
    """The node's state directory; daemons lie in its `mps/`."""
    simulated_drivers: Path | None = None
    """The folder of the simulated drivers on a node with simulated GPUs, whose daemons serve but
    can start no server. None on a node with real ones."""


def supervise(settings: MpsSettings, stop: threading.Event) -> None:
    """Keep a control daemon for every GPU of the node until `stop`; then end them.

    Call from the main thread: a daemon dies with the thread that started it. GshareError where
    `nvidia-cuda-mps-control` is not installed.
    """
    if not mps_control.is_installed():
        raise GshareError(
            f"{mps_control.PROGRAM} is not installed: it comes with the NVIDIA driver, "
            "and as Debian's nvidia-cuda-mps"
        )
    spawn = partial(_spawn, settings.state, _multi_user_flags())
    children = Children("mps", spawn, _LONGEST_PAUSE_S, _GRACE_S)
    asker = Asker(lambda uuid: MpsControl(MpsPaths(settings.state, uuid)).answers(), _ASK_EVERY_S)
    finder, ender = _Finder(settings), ClientEnder(settings.state)
    answering = readiness(settings.state)
    for thread in (asker, finder, ender):
        thread.start()
    try:
        while not stop.wait(_POLL_S):
            children.settle(finder.uuids)
            running = children.running()
            asker.ask(running)
            children.kill(asker.silent())
            answering.show({uuid for uuid, pid in asker.answering() if running.get(uuid) == pid})
    finally:
        for thread in (asker, finder, ender):
            thread.stop()
        answering.show(set())
        _end(settings.state, children, finder.uuids)


def _end(state: Path, children: Children, uuids: Collection[str]) -> None:
    """End all daemons with their servers, then let everybody on the GPUs again."""
    for uuid in children.running():
        try:
            MpsControl(MpsPaths(state, uuid)).quit()
        except mps_control.MpsError as error:
            _log.warning('event=mps_quit gpu=%s error="%s"', uuid, error)
    children.end_all()
    for uuid in uuids:
        _set_mode(uuid, nvml.DEFAULT_MODE)


def _spawn(state: Path, flags: tuple[str, ...], uuid: str) -> subprocess.Popen[bytes]:
    paths = MpsPaths(state, uuid)
    prepare(paths)
    # Servers of a daemon that was killed would keep the GPU from the next one.
    left = processes.carrying(names.ENV_MPS_PIPE_DIRECTORY, str(paths.pipe))
    processes.stop(left, _GRACE_S)
    _set_mode(uuid, nvml.EXCLUSIVE_PROCESS)
    process = _start(paths, flags)
    threading.Thread(target=_relay, args=(uuid, process), daemon=True).start()
    return process


def _start(paths: MpsPaths, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [mps_control.PROGRAM, "-f", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=mps_control.environment(paths),
        preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
    )


def _relay(uuid: str, process: subprocess.Popen[bytes]) -> None:
    """Log what a daemon says, but for the noise of being asked."""
    for line in process.stdout or ():
        text = line.partition(b"] ")[2].strip() or line.strip()
        if text and not text.startswith(_CHATTER):
            _log.info('event=mps_says gpu=%s text="%s"', uuid, text.decode(errors="replace"))


def _multi_user_flags() -> tuple[str, ...]:
    """Return the flag that lets clients of all users in at once, where the daemon knows it.

    Without it a server serves one user id, and a client of another waits until all have gone.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = MpsPaths(Path(folder), "probe")
        prepare(paths)
        process = _start(paths, (_MULTI_USER,))
        deadline = time.monotonic() + _PROBE_S
        while process.poll() is None and time.monotonic() < deadline:
            if MpsControl(paths).answers():
                break
            time.sleep(_POLL_S)
        is_known = process.poll() is None
        process.kill()
        process.communicate()
    if not is_known:
        _log.warning('event=mps_one_user text="this MPS serves one user id at a time on a GPU"')
    return (_MULTI_USER,) if is_known else ()


def _set_mode(uuid: str, mode: int) -> None:
    try:
        nvml.set_compute_mode(uuid, mode)
    except nvml.NvmlError as error:
        _log.warning('event=compute_mode gpu=%s error="%s"', uuid, error)


class _Finder(threading.Thread):
    """Looks for GPUs, on a thread of its own, as a driver may be slow or come late.

    A GPU that was seen stays: its daemon goes on, or is tried again.
    """

    def __init__(self, settings: MpsSettings) -> None:
        super().__init__(name="finder", daemon=True)
        self._settings = settings
        self._is_open = settings.simulated_drivers is None
        self._stopped = threading.Event()
        self.uuids: tuple[str, ...] = ()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.is_set():
            try:
                self._look()
            except (nvml.NvmlError, SimulatedGpuError) as error:
                _log.info('event=no_gpus error="%s"', error)
            self._stopped.wait(_FIND_EVERY_S if self.uuids else _FIRST_FIND_EVERY_S)

    def _look(self) -> None:
        if not self._is_open and self._settings.simulated_drivers is not None:
            folder = self._settings.state / "simgpu"
            nvml.use_simulated(SimulatedNode.open(folder, self._settings.simulated_drivers))
            self._is_open = True
        session = nvml.Session()
        session.close()
        found = (device.gpu.uuid for device in session.devices)
        self.uuids = tuple(dict.fromkeys((*self.uuids, *found)))
