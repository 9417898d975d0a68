"""A machine under `gshare up` for as long as something is measured on it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import yaml

from benchmarks.quota.gpu import BenchError
from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.state import StateDirectory
from gshare_simgpu import GpuCounters, SimulatedNode

MIB: Final = 1 << 20
_READY: Final = "replicas ready"
_PATIENCE_S: Final = 120.0
_STOP_S: Final = 30.0
_REFUSED: Final = "does not fit"


class Machine:
    """One simulated V100 whose replicas a process `gshare up` runs. Everything is gone on exit."""

    def __init__(self, native: Native, *documents: object) -> None:
        """Take the Deployments to run."""
        self._native = native
        self._documents = documents
        self._root = Path(tempfile.mkdtemp(prefix="gshare-bench-", dir="/dev/shm"))
        self.state = StateDirectory(self._root / "state")
        self._log = self._root / "up.log"
        self._up: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start all replicas; BenchError where they do not fit or do not get ready."""
        file = self._root / "workload.yaml"
        file.write_text(yaml.safe_dump_all(self._documents), encoding="utf-8")
        flags = ["--simulated", "--gpus", "1", "--profile", "v100"]
        with self._log.open("wb") as log:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "gshare_cli", "up", str(file), *flags],
                env={**os.environ, names.ENV_STATE_DIR: str(self.state.root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the run and remove everything."""
        up = self._up
        if up is not None and up.poll() is None:
            up.send_signal(signal.SIGINT)
            try:
                up.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                up.kill()
                up.wait()
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def said(self) -> str:
        """Return what the run has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def counters(self) -> GpuCounters:
        """Return what the GPU itself says of its memory, by account."""
        node = SimulatedNode.open(self.state.simgpu, self._native.simgpu)
        try:
            return node.counters(node.gpus[0].uuid)
        finally:
            node.close()

    def environment(self, replica: str) -> dict[str, str]:
        """Return what makes a program part of a replica's lease, hook and all."""
        node = SimulatedNode.open(self.state.simgpu, self._native.simgpu)
        folder = self.gpu_folder / names.FOLDER_LEASES / replica
        return {
            **os.environ,
            **node.environment(),
            names.ENV_LEASE_DIR: str(folder),
            names.ENV_PRELOAD: str(self._native.hook),
            names.ENV_SIMGPU_LABEL: "program",
        }

    @property
    def gpu_folder(self) -> Path:
        """Return the folder of the one GPU."""
        (folder,) = self.state.gpus.iterdir()
        return folder

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while _READY not in self.said:
            if self._up is None or self._up.poll() is not None:
                raise BenchError(f"gshare up: {_last_line(self.said)}")
            if time.monotonic() > deadline:
                raise BenchError(f"gshare up: not ready in {_PATIENCE_S:g} s: {self.said}")
            time.sleep(0.05)


def is_refused(error: BenchError) -> bool:
    """Tell whether a run did not begin since its replicas do not fit the GPU."""
    return _REFUSED in str(error)


def deployment(
    name: str, replicas: int, command: Sequence[str], annotations: dict[str, str], share: int
) -> dict[str, Any]:
    """Return a Deployment of which each replica has `share` percent of the time of all SMs."""
    limits = {names.RESOURCE_SM: 100, names.RESOURCE_QUOTA: share}
    container = {
        "name": "server",
        "image": "gshare/example-server:0.1.0",
        "command": list(command),
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        "resources": {"limits": limits},
    }
    metadata = {"labels": {"app": name}, "annotations": annotations}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": metadata, "spec": {"containers": [container]}},
        },
    }


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
