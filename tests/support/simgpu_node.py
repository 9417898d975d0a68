"""Simulated nodes for tests, and programs that run on them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.daemon import native

from gshare_simgpu import GpuCounters, SimulatedNode, Topology

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = "from tests.support.simgpu_client import *\n"


@contextmanager
def simulated_node(
    kind: str = "v100", count: int = 1, time_scale: int = 1, *, mps: bool = True
) -> Iterator[SimulatedNode]:
    """Yield a fresh node, and remove it."""
    directory = Path(tempfile.mkdtemp(prefix="gshare-simgpu-test-", dir="/dev/shm"))
    topology = Topology.uniform(kind, count, time_scale, mps=mps)
    node = SimulatedNode.create(directory, topology, native().simgpu)
    try:
        yield node
    finally:
        node.destroy()


def command(code: str) -> list[str]:
    """Return the command of a program with `simgpu_client` imported, and numpy if it says so."""
    numpy = "import numpy as np\n" if "np." in code else ""
    return [sys.executable, "-c", PRELUDE + numpy + code]


def environment(node: SimulatedNode, variables: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **node.environment(), **variables}


def run(node: SimulatedNode, code: str, **variables: str) -> str:
    """Run a program to its end; return what it printed."""
    done = subprocess.run(
        command(code),
        env=environment(node, variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def running(node: SimulatedNode, code: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program, and yield it once it has printed "ready"; kill it afterwards."""
    with started(node, command(code), **variables) as process:
        yield process


@contextmanager
def started(
    node: SimulatedNode, words: Sequence[str | Path], **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Start any program so; closing its stdin tells one to go on or to end."""
    with subprocess.Popen(
        words,
        env=environment(node, variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield process
        finally:
            process.kill()


def counters(node: SimulatedNode) -> GpuCounters:
    """Return the counters of the node's first GPU."""
    return node.counters(node.gpus[0].uuid)
