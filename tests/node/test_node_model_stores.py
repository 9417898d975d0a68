"""The supervisor keeps one model store on every GPU folder with a budget."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemon import eventually, limits, native
from tests.support.supervisor import children_of, supervisor

import gshare_simgpu
from gshare.models import ModelShare
from gshare.runtime import leases, processes, stores
from gshare.runtime.stores import Budget, Identity

GIB = 2**30
STARTS_S = 20.0
VIT = Identity.of("team", "vit-0", "vit", ModelShare("vit", GIB))


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gshare-agent-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gpu(state: Path) -> Path:
    """Return the folder of a simulated GPU with a lease that announces a model, and no budget."""
    topology = gshare_simgpu.Topology.uniform("v100", 1, 1)
    node = gshare_simgpu.SimulatedNode.create(state / "simgpu", topology, native().simgpu)
    folder = state / "gpus" / node.gpus[0].uuid
    leases.prepare(folder, [limits("vit-0")], {"vit-0": VIT})
    return folder


@pytest.fixture
def agent(state: Path, gpu: Path) -> Iterator[subprocess.Popen[bytes]]:
    del gpu  # made before
    drivers = native().simgpu
    settings = f"modelstores.ModelStoreSettings(Path({str(state)!r}), (), Path({str(drivers)!r}))"
    with supervisor("modelstores", settings, state / "log") as process:
        yield process


def serves(gpu: Path) -> bool:
    return stores.serves(gpu, "vit-0") and stores.answers(gpu, 1)


def served(gpu: Path) -> None:
    """Give the GPU's store memory, and wait until it serves."""
    stores.write_budget(gpu, Budget(GIB, GIB))
    assert eventually(lambda: serves(gpu), STARTS_S)


def test_a_store_runs_while_its_gpu_has_a_budget(gpu: Path, agent: subprocess.Popen[bytes]) -> None:
    without = children_of(agent.pid)
    served(gpu)
    running = children_of(agent.pid)

    stores.write_budget(gpu, None)

    assert (without, len(running)) == ([], 1)
    assert eventually(lambda: children_of(agent.pid) == [], STARTS_S)


def test_a_killed_store_is_started_again(gpu: Path, agent: subprocess.Popen[bytes]) -> None:
    served(gpu)
    (before,) = children_of(agent.pid)

    os.kill(before, signal.SIGKILL)

    assert eventually(lambda: children_of(agent.pid) not in ([], [before]), STARTS_S)
    assert eventually(lambda: serves(gpu), STARTS_S)


@pytest.mark.slow
def test_a_store_that_hangs_is_replaced(gpu: Path, agent: subprocess.Popen[bytes]) -> None:
    served(gpu)
    (before,) = children_of(agent.pid)

    os.kill(before, signal.SIGSTOP)

    assert eventually(lambda: children_of(agent.pid) not in ([], [before]), timeout_s=60)
    assert eventually(lambda: serves(gpu), STARTS_S)


def test_a_second_store_ends_with_one_line_and_harms_nobody(
    gpu: Path, agent: subprocess.Popen[bytes]
) -> None:
    served(gpu)
    (ours,) = children_of(agent.pid)

    second = subprocess.run(
        [sys.executable, "-m", "gshare_modelstore", "--dir", str(gpu)],
        check=False,
        capture_output=True,
        text=True,
        timeout=STARTS_S,
    )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert children_of(agent.pid) == [ours]
    assert serves(gpu)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_no_store_outlives_the_supervisor(
    gpu: Path, agent: subprocess.Popen[bytes], number: int
) -> None:
    served(gpu)
    (pid,) = children_of(agent.pid)
    identity = processes.ProcessIdentity.of(pid)

    agent.send_signal(number)

    assert identity is not None
    assert eventually(lambda: not identity.is_alive(), 5)
