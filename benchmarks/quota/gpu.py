"""One simulated GPU under the product's own token daemon, with the leases of one case on it."""

import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gshare import names
from gshare.lease import limits_of
from gshare.modes import RECT, Packer
from gshare.rectangles import Size
from gshare.runtime import leases, processes, tokend
from gshare.runtime.native import Native
from gshare.wire import Limits
from gshare_simgpu import SimulatedNode, Topology

from .cases import Case, Client

KIND = "h100"
_PATIENCE_S = 5.0


class BenchError(Exception):
    """A benchmark cannot be run as asked; the text says why."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A client's lease, as `gshare.lease` wants it."""

    lease_id: str
    gpu_uuid: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int = 0


class BenchGpu:
    """A GPU with a daemon and the leases of a case. Everything is gone on exit."""

    def __init__(self, case: Case, native: Native) -> None:
        self.case = case
        self._native = native
        self._root = Path(tempfile.mkdtemp(prefix="gshare-bench-", dir="/dev/shm"))
        self.node = SimulatedNode.create(
            self._root / "simgpu", Topology.uniform(KIND, time_scale=case.time_scale), native.simgpu
        )
        self.gpu = self.node.gpus[0]
        self.folder = self._root / self.gpu.uuid
        self.folder.mkdir()
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the leases and start the daemon."""
        wanted = self._limits()
        leases.prepare(self.folder, wanted)
        self._daemon = self._start_daemon()
        leases.enforce(self.folder, wanted)
        return self

    def __exit__(self, *_: object) -> None:
        """End the daemon and remove everything."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()
        self.node.destroy()
        shutil.rmtree(self._root)

    @property
    def daemon_pid(self) -> int:
        """Return the daemon's process."""
        assert self._daemon is not None, "not entered"  # noqa: S101
        return self._daemon.pid

    def sms(self, client: Client) -> int:
        """Return how many SMs a client may use."""
        return max(1, self.gpu.sm_count * client.sm_percent // 100)

    def environment(self, client: Client) -> dict[str, str]:
        """Return what a client's program finds in its environment."""
        found = {
            **os.environ,
            **self.node.environment(),
            names.ENV_SIMGPU_LABEL: client.name,
            names.ENV_MPS_PERCENTAGE: str(client.sm_percent),
        }
        if client.is_held:
            found[names.ENV_PRELOAD] = str(self._native.hook)
            found[names.ENV_LEASE_DIR] = str(leases.folder_of(self.folder, client.name))
        return found

    def _limits(self) -> list[Limits]:
        """Return the leases, laid out as gshare lays them out."""
        clients = self.case.clients
        sizes = {each.name: Size(each.quota_percent, each.sm_percent) for each in clients}
        layout = Packer(RECT).arrange(sizes, search_longer=True)
        if layout is None:
            raise BenchError(f"{self.case.name}: its leases do not fit one GPU")
        return [
            dataclasses.replace(
                limits_of(self._held(each), layout.slices(each.name), self.case.window_us),
                launch_depth=self.case.depth,
            )
            for each in clients
        ]

    def _held(self, client: Client) -> _Held:
        uuid, quota = self.gpu.uuid, client.quota_percent
        return _Held(client.name, uuid, client.sm_percent, quota, client.limit)

    def _start_daemon(self) -> subprocess.Popen[bytes]:
        command = [str(self._native.tokend), "--dir", str(self.folder)]
        child = subprocess.Popen(
            [*command, "--window-us", str(self.case.window_us)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (we have no threads)
        )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if child.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{command[0]}: does not answer")
            time.sleep(0.005)
        return child

    def _answers(self) -> bool:
        try:
            tokend.Control(self.folder).ping()
        except tokend.TokenDaemonError:
            return False
        return True
