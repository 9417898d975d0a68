"""The supervisor keeps one token daemon on every GPU folder with a timetable."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import daemon
from tests.support.supervisor import children_of, supervisor

from gshare.runtime import processes, tokend


@pytest.fixture
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gshare-agent-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def agent(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    binary = daemon.native().tokend
    settings = f"daemons.DaemonSettings(Path({str(state)!r}), Path({str(binary)!r}))"
    with supervisor("daemons", settings, state / "log") as process:
        yield process


def gpu(state: Path, name: str) -> Path:
    """Make a GPU folder with a timetable for one lease."""
    folder = state / "gpus" / name
    made = daemon.Node(folder, daemon.WINDOW_US, ())
    folder.mkdir(parents=True)
    made.write(daemon.limits("a"))
    return folder


def answers(folder: Path) -> bool:
    try:
        tokend.Control(folder).ping()
    except tokend.TokenDaemonError:
        return False
    return True


def test_a_daemon_serves_every_folder_with_a_timetable_and_no_other(
    state: Path, agent: subprocess.Popen[bytes]
) -> None:
    (state / "gpus" / "bare").mkdir(parents=True)
    folders = [gpu(state, "GPU-0"), gpu(state, "GPU-1")]

    assert daemon.eventually(lambda: all(answers(folder) for folder in folders))
    assert len(children_of(agent.pid)) == 2


def test_a_killed_daemon_is_back_within_half_a_second(
    state: Path, agent: subprocess.Popen[bytes]
) -> None:
    folder = gpu(state, "GPU-0")
    assert daemon.eventually(lambda: answers(folder))
    gaps = []

    for _ in range(4):
        (pid,) = children_of(agent.pid)
        os.kill(pid, signal.SIGKILL)
        since = time.monotonic()
        assert daemon.eventually(lambda before=pid: children_of(agent.pid) not in ([], [before]))
        assert daemon.eventually(lambda: answers(folder))
        gaps.append(time.monotonic() - since)

    assert max(gaps) < 0.6


def test_a_daemon_ends_with_its_folder(state: Path, agent: subprocess.Popen[bytes]) -> None:
    folder = gpu(state, "GPU-0")
    assert daemon.eventually(lambda: answers(folder))

    shutil.rmtree(folder, ignore_errors=True)

    assert daemon.eventually(lambda: children_of(agent.pid) == [])


def test_two_daemons_never_serve_one_folder(state: Path, agent: subprocess.Popen[bytes]) -> None:
    folder = gpu(state, "GPU-0")
    assert daemon.eventually(lambda: answers(folder))
    (ours,) = children_of(agent.pid)
    os.kill(ours, signal.SIGSTOP)
    second = subprocess.run(
        [str(daemon.native().tokend), "--dir", str(folder)], check=False, capture_output=True
    )
    os.kill(ours, signal.SIGCONT)

    assert second.returncode == 1
    assert children_of(agent.pid) == [ours]


def test_a_daemon_that_hangs_is_replaced(state: Path, agent: subprocess.Popen[bytes]) -> None:
    folder = gpu(state, "GPU-0")
    assert daemon.eventually(lambda: answers(folder))
    (pid,) = children_of(agent.pid)

    os.kill(pid, signal.SIGSTOP)

    assert daemon.eventually(lambda: children_of(agent.pid) not in ([], [pid]), timeout_s=20)
    assert daemon.eventually(lambda: answers(folder))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_no_daemon_outlives_the_supervisor(
    state: Path, agent: subprocess.Popen[bytes], number: int
) -> None:
    folder = gpu(state, "GPU-0")
    assert daemon.eventually(lambda: answers(folder))
    (pid,) = children_of(agent.pid)
    identity = processes.ProcessIdentity.of(pid)

    agent.send_signal(number)

    assert identity is not None
    assert daemon.eventually(lambda: not identity.is_alive())
