"""A pod's MPS clients are ended shortly before the pod is killed, and no others."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.daemon import eventually

from gshare_deviceplugin import mps_paths
from gshare_deviceplugin.mps_clients import LEAD_S, ClientEnder
from gshare_deviceplugin.mps_control import MpsControl, MpsError
from gshare_deviceplugin.mps_paths import MpsPaths, readiness

pytestmark = pytest.mark.timed

UID = "0c6a4e1e-89ab-4cde-8f01-23456789abcd"
SERVER = 4711
_ROOTS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/pids")]  # version 2, version 1


class FakeControl(MpsControl):
    """A control daemon with clients: no real one has any without a GPU."""

    def __init__(self, paths: MpsPaths, clients: tuple[int, ...], *, refuses: bool = False) -> None:
        super().__init__(paths)
        self._clients = clients
        self._refuses = refuses
        self.ended: list[tuple[int, int]] = []

    def clients(self) -> tuple[tuple[int, int], ...]:
        return tuple((SERVER, client) for client in self._clients)

    def terminate(self, server: int, client: int) -> None:
        if self._refuses:
            raise MpsError("gone")
        self.ended.append((server, client))


@pytest.fixture
def pod_process() -> Iterator[int]:
    """Start a process in a cgroup that is named as a pod's."""
    roots = [root for root in _ROOTS if (root / "cgroup.procs").exists()]
    if not roots or not os.access(roots[0], os.W_OK):
        pytest.skip("no cgroup can be made here")
    folder = roots[0] / f"pod{UID}"
    folder.mkdir()
    process = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
    finally:
        process.kill()
        process.wait()
        eventually(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[MpsPaths]:
    found = MpsPaths(tmp_path, "GPU-0")
    mps_paths.prepare(found)
    answering = readiness(tmp_path)
    answering.show({"GPU-0"})
    yield found
    answering.show(())


def test_only_the_clients_of_the_pod_are_ended(paths: MpsPaths, pod_process: int) -> None:
    control = FakeControl(paths, (1, pod_process))
    mps_paths.end_clients_at(paths.state, paths.uuid, UID, 100.0)

    ClientEnder(paths.state, lambda _: control).serve(paths, 100.0 - LEAD_S)

    assert control.ended == [(SERVER, pod_process)]
    assert mps_paths.requests(paths) == {}


def test_clients_live_until_shortly_before_the_deadline(paths: MpsPaths, pod_process: int) -> None:
    control = FakeControl(paths, (pod_process,))
    mps_paths.end_clients_at(paths.state, paths.uuid, UID, 100.0)

    ClientEnder(paths.state, lambda _: control).serve(paths, 99.9 - LEAD_S)

    assert control.ended == []
    assert mps_paths.requests(paths) == {UID: 100.0}


def test_a_client_that_has_just_ended_is_no_trouble(paths: MpsPaths, pod_process: int) -> None:
    control = FakeControl(paths, (pod_process,), refuses=True)
    mps_paths.end_clients_at(paths.state, paths.uuid, UID, 100.0)

    ClientEnder(paths.state, lambda _: control).serve(paths, 100.0)

    assert mps_paths.requests(paths) == {}


def test_a_request_without_a_daemon_is_forgotten(tmp_path: Path) -> None:
    mps_paths.end_clients_at(tmp_path, "GPU-0", UID, 100.0)

    assert mps_paths.known(tmp_path) == ()
