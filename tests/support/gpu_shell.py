"""Processes on a simulated GPU that tests lead by the hand: one call after the other in each."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import simgpu_node

from gshare_simgpu import SimulatedNode

COMMAND = (sys.executable, "-m", "tests.support.shared_client")
CONTEXT_MIB = 300


class GpuShell:
    """One process; `tests.support.shared_client` says what it understands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Lead `process`, which has said that it is ready."""
        self.process = process

    def __call__(self, code: str, *, name: str = "_") -> object:
        """Run an expression, keep its value under `name` there, and return it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{name}={code}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the process ended at {code!r}: {self.process.wait(5)}"
        return ast.literal_eval(answer)

    def error(self, call: str) -> int:
        """Make a driver call; return the number of its error, 0 for none."""
        found = self(f"int(cuda.{call}[0])")
        assert isinstance(found, int)
        return found

    def kill(self) -> None:
        """End the process with SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


@contextmanager
def gpu_shell(node: SimulatedNode, label: str, **variables: str) -> Iterator[GpuShell]:
    """Start a process with a context; its account has the name `label`."""
    variables = {"GSHARE_SIMGPU_LABEL": label, **variables}
    with simgpu_node.started(node, COMMAND, **variables) as process:
        shell = GpuShell(process)
        shell("context()")
        yield shell


def held_mib(node: SimulatedNode, label: str) -> int:
    """Return what an account is charged on the node's first GPU."""
    return simgpu_node.counters(node).account(label).memory_bytes >> 20


def used_mib(node: SimulatedNode) -> int:
    """Return what is in use of the node's first GPU."""
    return simgpu_node.counters(node).memory_used_bytes >> 20
