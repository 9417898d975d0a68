"""Runs the real `gshare` command against a state directory of its own, and looks what it leaves."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml
from tests.support import manifests

from gshare.runtime.state import RunRecord

CLIENT = Path(__file__).parent / "cuda_client.py"
PATIENCE_S = 20.0


def client(sm_demand: int = 8, duration_us: int = 1000, **changes: object) -> manifests.Object:
    """Return a GPU container whose command keeps the simulated GPU busy."""
    command = [sys.executable, str(CLIENT), str(sm_demand), str(duration_us)]
    return manifests.container(command=command, **changes)


def asking(container: manifests.Object, sm: int, quota: int) -> manifests.Object:
    """Return `container` with another rectangle."""
    limits = {"gshare.io/vgpu-sm": sm, "gshare.io/vgpu-quota": quota}
    return {**container, "resources": {"limits": limits}}


class Machine:
    """A state directory, and the `gshare` commands that run against it."""

    def __init__(self, state: Path, files: Path) -> None:
        self.state = state
        self._files = files
        self._started: list[subprocess.Popen[str]] = []
        ours = {"GSHARE_STATE_DIR": str(state), "XDG_CACHE_HOME": str(files / "cache")}
        self._env = {**os.environ, **ours, "COLUMNS": "200"}

    def write(self, *documents: object, name: str = "workload.yaml") -> Path:
        """Write a file of Kubernetes objects."""
        file = self._files / name
        file.write_text(yaml.safe_dump_all(documents))
        return file

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start `gshare`, its streams in pipes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "gshare_cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._env,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `gshare` to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ps(self) -> list[dict[str, Any]]:
        """Return the rows of `gshare ps`."""
        rows: list[dict[str, Any]] = json.loads(self.run("ps", "--json").stdout)
        return rows

    def records(self) -> list[RunRecord]:
        """Return the records of all runs, dead or alive."""
        return [RunRecord.from_json(file.read_text()) for file in self.state.glob("runs/*/record")]

    def pids(self) -> dict[str, int]:
        """Return the recorded processes by lease id."""
        return {key: each.pid for record in self.records() for key, each in record.processes}

    def processes(self) -> list[psutil.Process]:
        """Return every process that has to do with this state directory, but not ourselves."""
        return [process for process in psutil.process_iter() if self._is_of(process)]

    def close(self) -> None:
        """Kill what tests left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _is_of(self, process: psutil.Process) -> bool:
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            return False
        named = f"GSHARE_STATE_DIR={self.state}\0".encode() in environment + b"\0"
        return named and process.status() != psutil.STATUS_ZOMBIE


def until(claim: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until `claim` holds; fail the test if it does not in time."""
    deadline = time.monotonic() + patience_s
    while not claim():
        assert time.monotonic() < deadline, f"waited {patience_s} s in vain"
        time.sleep(0.05)


def read_until(
    process: subprocess.Popen[str], *texts: str, patience_s: float = PATIENCE_S
) -> list[str]:
    """Return the lines of a process's output until each of `texts` was said, in any order.

    A process that does not say them in time is killed, and the test fails with what it said.
    """
    assert process.stdout
    lines: list[str] = []
    missing = set(texts)
    impatience = threading.Timer(patience_s, process.kill)
    impatience.start()
    try:
        for line in process.stdout:
            lines.append(line)
            missing -= {text for text in missing if text in line}
            if not missing:
                return lines
    finally:
        impatience.cancel()
    raise AssertionError(f"no {missing} in {lines}; {process.stderr and process.stderr.read()}")


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C; return what the process says until its end."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=30)
