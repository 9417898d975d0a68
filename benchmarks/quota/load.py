"""The programs of a case: clients under their leases, and hogs that take the host's cores."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from gshare.runtime import processes
from gshare.runtime.native import Native

from .cases import Case, Client
from .gpu import BenchError, BenchGpu

_PYTHON_CLIENT = Path(__file__).with_name("python_client.py")
_HOG = "while True: pass"


class RunningClient:
    """A client's process: ready at first, at work after `go`."""

    def __init__(self, gpu: BenchGpu, client: Client, seed: int, native: Native) -> None:
        self.client = client
        self._complaints = gpu.folder / f"{client.name}.stderr"
        with self._complaints.open("w") as complaints:
            self.process = self._start(gpu, seed, native, complaints)

    def _start(
        self, gpu: BenchGpu, seed: int, native: Native, complaints: IO[str]
    ) -> subprocess.Popen[str]:
        client = self.client
        return subprocess.Popen(
            [*_program(client, native), client.workload, *_arguments(gpu, client, seed)],
            env=gpu.environment(client),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (we have no threads)
        )

    def await_ready(self) -> None:
        """Wait until it has its kernel. BenchError if it ends before."""
        assert self.process.stdout is not None  # noqa: S101 (a pipe was asked for)
        if self.process.stdout.readline() != "ready\n":
            raise self._ended(self.process.wait())

    def go(self) -> None:
        """Let it work."""
        assert self.process.stdin is not None  # noqa: S101 (a pipe was asked for)
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Kill it; return what it said. BenchError if it had ended by itself."""
        status = self.process.poll()
        self.process.kill()
        said, _ = self.process.communicate()
        if status is not None:
            raise self._ended(status)
        return said

    def _ended(self, status: int) -> BenchError:
        complaint = self._complaints.read_text().strip()
        return BenchError(f"client {self.client.name} ended with {status}: {complaint}")


@contextmanager
def clients(gpu: BenchGpu, native: Native) -> Iterator[list[RunningClient]]:
    """Start the clients of a GPU's case, ready; kill those that still run on exit."""
    started: list[RunningClient] = []
    try:
        for seed, client in enumerate(gpu.case.clients, start=1):
            started.append(RunningClient(gpu, client, seed, native))
        for each in started:
            each.await_ready()
        yield started
    finally:
        for each in started:
            each.process.kill()
            each.process.communicate()


@contextmanager
def hogs(case: Case) -> Iterator[None]:
    """Run the case's hogs."""
    with ExitStack() as ends:
        for _ in range(case.hogs):
            hog = subprocess.Popen(
                [sys.executable, "-c", _HOG],
                preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (we have no threads)
            )
            ends.callback(hog.wait)
            ends.callback(hog.kill)
        yield


def _program(client: Client, native: Native) -> list[str]:
    if client.is_python:
        return [sys.executable, str(_PYTHON_CLIENT)]
    program = native.root / "bench" / "quota_client"
    if not program.exists():
        raise BenchError(f"{program}: not there: run `make bench-clients` first")
    return [str(program)]


def _arguments(gpu: BenchGpu, client: Client, seed: int) -> list[str]:
    return [str(gpu.sms(client)), str(client.kernel_us), str(seed)]
