"""NVIDIA's own MPS control daemon, one for each simulated GPU: it serves, but starts no server."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import daemon, namespaces
from tests.support.daemon import eventually
from tests.support.supervisor import children_of, supervisor

from gshare.runtime.native import Native
from gshare_deviceplugin import cdi, mps_control, mps_paths, simulated
from gshare_deviceplugin.libraries import PodLibraries
from gshare_simgpu import SimulatedNode

pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(
        not mps_control.is_installed(), reason="nvidia-cuda-mps-control is not installed"
    ),
]
PATIENCE_S = 10.0


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gshare-mps-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def node(state: Path) -> SimulatedNode:
    return simulated.make_or_open(state / "simgpu", "v100:2", "node-a", 1, Native.locate().simgpu)


@pytest.fixture
def agent(state: Path, node: SimulatedNode) -> Iterator[subprocess.Popen[bytes]]:
    settings = f"mps.MpsSettings(Path({str(state)!r}), Path({str(node.driver)!r}))"
    with supervisor("mps", settings, state / "log") as process:
        yield process


def serving(state: Path, node: SimulatedNode) -> list[str]:
    return [gpu.uuid for gpu in node.gpus if mps_paths.serving(state, gpu.uuid)]


def daemons(agent: subprocess.Popen[bytes]) -> list[int]:
    """Return the control daemons, without the front ends that ask them."""
    found = []
    for pid in children_of(agent.pid):
        try:
            if b"-f" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found


def compute_modes(node: SimulatedNode) -> list[int]:
    code = (
        "import pynvml as n; n.nvmlInit();"
        "print([n.nvmlDeviceGetComputeMode(n.nvmlDeviceGetHandleByIndex(i)) for i in range(2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **node.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(map(int, done.stdout.strip(" []\n").split(",")))


def test_every_gpu_gets_a_daemon_that_answers_and_takes_the_gpu_for_itself(
    state: Path, node: SimulatedNode, agent: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    assert len(daemons(agent)) == 2
    assert compute_modes(node) == [3, 3]


@pytest.mark.usefixtures("agent")
def test_a_client_can_connect_to_the_pipe_directory(state: Path, node: SimulatedNode) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    paths = mps_paths.MpsPaths(state, node.gpus[0].uuid)

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(paths.pipe / "control"))

    assert mps_control.MpsControl(paths).clients() == ()


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
@pytest.mark.usefixtures("agent")
def test_a_container_of_another_user_reaches_its_daemon_and_cannot_end_it(
    state: Path, node: SimulatedNode
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    paths = mps_paths.serving(state, node.gpus[0].uuid)
    limits = daemon.limits("a", gpu_uuid=node.gpus[0].uuid)
    made = cdi.lease_edits(limits, state, PodLibraries(state), paths)
    mps_alone = dataclasses.replace(made, mounts=made.mounts[-2:])
    ask = "echo get_default_active_thread_percentage | nvidia-cuda-mps-control"

    said = namespaces.run(
        mps_alone, ["sh", "-c", f"{ask}; echo quit | nvidia-cuda-mps-control"], namespaces.NOBODY
    )

    assert said.splitlines() == ["100.0", "Not enough privilege to execute quit command"]
    assert len(serving(state, node)) == 2


def test_a_killed_daemon_is_not_served_and_comes_back(
    state: Path, node: SimulatedNode, agent: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    before = daemons(agent)

    os.kill(before[0], signal.SIGKILL)

    assert eventually(lambda: len(serving(state, node)) == 1, PATIENCE_S)
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    assert len(set(daemons(agent)) - set(before)) == 1


def test_the_end_gives_the_gpus_back(
    state: Path, node: SimulatedNode, agent: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    before = daemons(agent)

    agent.send_signal(signal.SIGTERM)
    agent.wait(timeout=PATIENCE_S)

    assert serving(state, node) == []
    assert compute_modes(node) == [0, 0]
    assert not any(Path(f"/proc/{pid}").exists() for pid in before)


def test_a_keeper_that_was_killed_shows_no_daemon(
    state: Path, node: SimulatedNode, agent: subprocess.Popen[bytes]
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)

    agent.kill()

    assert eventually(lambda: serving(state, node) == [], PATIENCE_S)


@pytest.mark.usefixtures("agent")
def test_a_request_to_end_clients_is_served_before_its_deadline(
    state: Path, node: SimulatedNode
) -> None:
    assert eventually(lambda: len(serving(state, node)) == 2, PATIENCE_S)
    uuid = node.gpus[0].uuid
    deadline_s = time.time() + 2.0

    mps_paths.end_clients_at(state, uuid, "0c6a4e1e-0000-4000-8000-000000000001", deadline_s)
    paths = mps_paths.MpsPaths(state, uuid)
    was_asked = bool(mps_paths.requests(paths))

    assert was_asked
    assert eventually(lambda: not mps_paths.requests(paths), PATIENCE_S)
    assert time.time() < deadline_s
