"""A simulated node: a directory of simulated GPUs that processes share."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .counters import GpuCounters, Spans
from .errors import SimulatedGpuError
from .native import Control
from .topology import Topology

_TOPOLOGY = "topology"
ENV_DIRECTORY = "GSHARE_SIMGPU_DIR"
ENV_LIBRARIES = "LD_LIBRARY_PATH"
_LOOKS = 20
_MOMENT_S = 0.0002


@dataclass(frozen=True, slots=True)
class SimulatedGpu:
    """One GPU of a simulated node."""

    index: int
    uuid: str
    name: str
    sm_count: int
    memory_bytes: int


class SimulatedNode:
    """The GPUs of one directory, which should lie in memory (tmpfs), as its files are mapped.

    A process uses them by running with `environment()`. Nothing runs for them in the background:
    `destroy` removes files, no more.
    """

    def __init__(self, directory: Path, driver: Path) -> None:
        self.directory = directory
        self.driver = driver
        self._control = Control(driver)
        self.gpus, self.time_scale = _read(directory)
        self._handles: dict[str, int] = {}

    @classmethod
    def create(cls, directory: Path, topology: Topology, driver: Path) -> Self:
        """Make the GPUs of `topology` in `directory`, which is made where it is missing.

        `driver` is the folder of the simulated drivers. Raises SimulatedGpuError where the
        directory holds simulated GPUs already.
        """
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # users of every id use the GPUs, whatever our umask
        try:
            with (directory / _TOPOLOGY).open("x") as file:
                file.write(topology.lines())
            (directory / _TOPOLOGY).chmod(0o644)
        except OSError as error:
            raise SimulatedGpuError(f"{directory}: cannot make simulated GPUs: {error}") from error
        Control(driver).create(directory)
        return cls(directory, driver)

    @classmethod
    def open(cls, directory: Path, driver: Path) -> Self:
        """Open the GPUs that another process made."""
        return cls(directory, driver)

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the variables that make a process use these GPUs, on top of those of `base`."""
        paths = [str(self.driver), *filter(None, [base.get(ENV_LIBRARIES)])]
        return {ENV_DIRECTORY: str(self.directory), ENV_LIBRARIES: ":".join(paths)}

    def counters(self, uuid: str) -> GpuCounters:
        """Return what ran on a GPU; all figures are of one instant."""
        return self._control.counters(self._handle(uuid))

    def spans(self, uuid: str, start: int = 0) -> Spans:
        """Return when kernels of each label ran, from span number `start` on."""
        return self._control.spans(self._handle(uuid), start)

    def stop(self, pid: int) -> None:
        """Stop a client (SIGSTOP) where it does not hold the lock of a GPU.

        A real GPU has no lock that a stopped process could hold. Here a client that is stopped
        within a call may have it, and all others wait until the client goes on. So a client that
        is found to have it is let go on for a moment, and stopped anew.
        """
        while True:
            os.kill(pid, signal.SIGSTOP)
            _await_stop(pid)
            if not any(self._is_stuck(gpu.uuid) for gpu in self.gpus):
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(_MOMENT_S)

    def _is_stuck(self, uuid: str) -> bool:
        """Tell whether one process has held the lock all along for several milliseconds."""
        handle = self._handle(uuid)
        holder = self._control.holder(handle)
        for _ in range(_LOOKS):
            if holder == 0 or self._control.holder(handle) != holder:
                return False
            time.sleep(_MOMENT_S)
        return True

    def report_xid(self, uuid: str, xid: int) -> None:
        """Have the GPU report a fault: an XID event of NVML. Kernels run on."""
        self._control.report_xid(self._handle(uuid), xid)

    def set_lost(self, uuid: str, *, lost: bool) -> None:
        """Have NVML answer that the GPU is lost, or that it is back. Kernels run on."""
        self._control.set_lost(self._handle(uuid), lost=lost)

    def close(self) -> None:
        """Unmap the GPUs; the node may be read again."""
        while self._handles:
            self._control.close(self._handles.popitem()[1])

    def destroy(self) -> None:
        """Remove the GPUs. Processes that still use them keep what they have mapped."""
        self.close()
        for gpu in self.gpus:
            for suffix in ("state", "alive"):
                (self.directory / f"gpu-{gpu.index}.{suffix}").unlink(missing_ok=True)
        (self.directory / _TOPOLOGY).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    def _handle(self, uuid: str) -> int:
        if uuid not in self._handles:
            self._handles[uuid] = self._control.open(self.directory, self._index(uuid))
        return self._handles[uuid]

    def _index(self, uuid: str) -> int:
        for gpu in self.gpus:
            if gpu.uuid == uuid:
                return gpu.index
        raise SimulatedGpuError(f"{self.directory}: no simulated GPU {uuid!r}")


def _await_stop(pid: int) -> None:
    """Wait until every thread of a process has stopped, or is gone."""
    tasks = Path(f"/proc/{pid}/task")
    while any(_state(task) not in "TtZX" for task in tasks.glob("*")):
        time.sleep(_MOMENT_S)


def _state(task: Path) -> str:
    """Return the state of a thread, X where it is gone."""
    with contextlib.suppress(OSError):
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def _read(directory: Path) -> tuple[tuple[SimulatedGpu, ...], int]:
    """Read the topology file back: the GPUs and the time scale."""
    try:
        lines = (directory / _TOPOLOGY).read_text().splitlines()
    except OSError as error:
        raise SimulatedGpuError(f"{directory}: no simulated GPUs: {error}") from error
    gpus = []
    time_scale = 1
    for line in lines:
        words, _, name = line.partition(" name=")
        values = dict(word.split("=", 1) for word in words.split()[1:])
        time_scale = int(values["time_scale"])
        gpus.append(
            SimulatedGpu(
                int(values["index"]),
                values["uuid"],
                name,
                int(values["sm_count"]),
                int(values["memory_bytes"]),
            )
        )
    return tuple(gpus), time_scale
