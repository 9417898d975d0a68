"""What a container is given works from other namespaces and for other users: the whole path.

Each test plays the runtime: it makes a lease as the node agent does, applies its CDI edits in
namespaces of their own, and runs a CUDA program there.
"""

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import daemon, namespaces

from gshare import names, wire
from gshare.annotations import NodeGpu
from gshare.runtime import leases
from gshare.runtime.native import Native
from gshare_deviceplugin import cdi, libraries, simulated
from gshare_deviceplugin.edits import ContainerEdits
from gshare_deviceplugin.nvml import Device
from gshare_deviceplugin.shims import PodShims
from gshare_simgpu import GpuCounters

pytestmark = [
    pytest.mark.timed,
    pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not()),
]

PROGRAM = "from tests.support.simgpu_client import *\nimport os, pathlib\n"
WORK = """
context()
work = kernel(40, 1000)
end = time.monotonic() + {seconds}
count = 0
print("ready", flush=True)
while time.monotonic() < end:
    launch(work, 1)
    ok(cuda.cuCtxSynchronize())
    count += 1
print(count)
"""


class Node:
    """A state directory with one simulated GPU, its token daemon, and leases."""

    def __init__(self, state: Path) -> None:
        native = Native.locate()
        self.libraries = libraries.publish(state / "lib", native, simulated=True)
        self.gpus = simulated.make_or_open(
            state / "simgpu", "v100", "node-a", 1, self.libraries.drivers
        )
        (gpu,) = self.gpus.gpus
        self.uuid = gpu.uuid
        self.folder = state / "gpus" / gpu.uuid
        self.folder.mkdir(parents=True)
        self.driver = simulated.SimulatedDriver(state / "simgpu", self.libraries)
        self.shims = PodShims(state, Path("/"))
        self.daemon = daemon.ChildDaemon(self.folder, daemon.WINDOW_US, native.tokend)
        self.held: list[wire.Limits] = []

    def lease(
        self, lease_id: str, hook: str = names.HOOK_PRELOAD, **changes: object
    ) -> ContainerEdits:
        """Make a lease as the node agent does, and return what its container is given."""
        limits = daemon.limits(lease_id, gpu_uuid=self.uuid, memory_limit_bytes=2 << 30, **changes)
        self.held.append(limits)
        leases.prepare(self.folder, self.held)
        if not self.daemon.is_alive():
            self.daemon.start()
        leases.enforce(self.folder, self.held)
        device = Device(NodeGpu(self.uuid, "V100", 80, 16 << 30), 0, 0, None)
        driver = self.driver.edits(device, lease_id)
        folder = leases.folder_of(self.folder, lease_id)
        return cdi.merge(
            self.shims.before(driver) if hook == names.HOOK_SHIM else driver,
            cdi.lease_edits(limits, folder, self.libraries, hook=hook),
        )

    def counters(self) -> GpuCounters:
        return self.gpus.counters(self.uuid)


@pytest.fixture
def node() -> Iterator[Node]:
    state = Path(tempfile.mkdtemp(prefix="gshare-namespaces-", dir="/dev/shm"))
    old = os.umask(0o077)  # an operator's: what containers use must not follow it
    made = Node(state)
    yield made
    os.umask(old)
    made.daemon.stop()
    made.gpus.close()
    shutil.rmtree(state, ignore_errors=True)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM + code]


HOLDS = [
    pytest.param(0, names.HOOK_PRELOAD, id="as root"),
    pytest.param(namespaces.NOBODY, names.HOOK_PRELOAD, id="as nobody"),
    pytest.param(namespaces.NOBODY, names.HOOK_SHIM, id="behind a shim"),
]


@pytest.mark.parametrize(("uid", "hook"), HOLDS)
def test_a_container_runs_under_its_lease(node: Node, uid: int, hook: str) -> None:
    edits = node.lease("a", hook, sm_percent=50, quota_request_percent=40)

    launched = namespaces.run(edits, python(WORK.format(seconds=2)), uid)

    account = node.counters().account("a")
    assert account.launches == int(launched.split()[-1])
    assert 0.1 < account.busy_ns / 2e9 < 0.45  # the rest of its 40 % goes to waits and to noise
    assert node.daemon.control.stats().lease("a").grants > 20


def test_every_process_of_a_container_has_the_hook_without_any_variable(node: Node) -> None:
    edits = node.lease("a")

    maps = namespaces.run(edits, ["env", "-i", "cat", "/proc/self/maps"])

    assert libraries.CONTAINER_HOOK in maps


@pytest.mark.parametrize("library", ["libcuda.so", "libcuda.so.1"])
def test_a_wiped_environment_is_held_by_a_shim(node: Node, library: str) -> None:
    """But for where the simulated GPUs are, which a real driver knows by itself."""
    edits = node.lease("a", names.HOOK_SHIM)
    code = f"""
import ctypes
driver = ctypes.CDLL("{simulated.CONTAINER_DRIVERS}/{library}"); context = ctypes.c_void_p()
place = ctypes.c_uint64()
assert driver.cuInit(0) == 0
assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert driver.cuCtxSetCurrent(context) == 0
print(driver.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t(3 << 30)))
"""
    gpus = f"{names.ENV_SIMGPU_DIR}={simulated.CONTAINER_STATE}"

    out_of_memory = namespaces.run(edits, ["env", "-i", gpus, sys.executable, "-c", code])

    assert out_of_memory == "2"


def test_nothing_is_preloaded_where_a_shim_is(node: Node) -> None:
    edits = node.lease("a", names.HOOK_SHIM)

    maps = namespaces.run(edits, ["cat", "/proc/self/maps"])

    assert "gshare" not in maps


def test_a_container_can_write_its_counters_and_nothing_else(node: Node) -> None:
    edits = node.lease("a")
    lease = names.CONTAINER_LEASE_DIR
    code = """
def can_write(path):
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True
import json
print(json.dumps([str(p) for f in ("{lease}", "/run/gshare/simgpu", "/usr/local/gshare")
                  for p in pathlib.Path(f).rglob("*") if p.is_file() and can_write(p)]))
"""

    writable = json.loads(namespaces.run(edits, python(code.replace("{lease}", lease))))

    assert sorted(writable) == [
        f"{lease}/{names.FILE_COUNTERS}",
        "/run/gshare/simgpu/gpu-0.alive",
        "/run/gshare/simgpu/gpu-0.state",
    ]


def test_the_memory_cap_holds_for_nobody_in_a_container(node: Node) -> None:
    edits = node.lease("a")
    code = """
context()
free, total = ok(cuda.cuMemGetInfo())
result, _ = cuda.cuMemAlloc(3 << 30)
print(total >> 20, result.name)
"""

    assert namespaces.run(edits, python(code), namespaces.NOBODY).split() == [
        "2048",
        "CUDA_ERROR_OUT_OF_MEMORY",
    ]


def test_containers_with_equal_process_ids_share_the_gpu_through_each_others_deaths(
    node: Node,
) -> None:
    """Waiters and holders of the GPU's lock die at random; all of them are process 1, thread 1."""
    edits = [
        node.lease(key, sm_percent=25, quota_request_percent=25, slices=(wire.Slice(at, 25),))
        for key, at in (("a", 0), ("b", 25), ("c", 50), ("d", 75))
    ]
    free = [dataclasses.replace(each, mounts=_without_hook(each)) for each in edits]
    endless = """
context()
work = kernel(20, 20)
print("ready", flush=True)
end = time.monotonic() + 20
while time.monotonic() < end:
    launch(work, 100)
"""
    deaths = 0
    deadline = time.monotonic() + 6
    steady = namespaces.start(free[0], python(WORK.format(seconds=8)))
    while time.monotonic() < deadline:
        doomed = [namespaces.start(each, python(endless), namespaces.NOBODY) for each in free[1:]]
        for process in doomed:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in doomed:
            namespaces.kill(process)
            deaths += 1
    out, error = steady.communicate(timeout=30)

    assert steady.returncode == 0, error
    assert int(out.split()[-1]) > 500
    assert deaths > 5
    time.sleep(0.1)
    reading = node.counters()
    assert reading.memory_used_bytes == 0
    assert [account.processes for account in reading.accounts] == [0] * len(reading.accounts)


def _without_hook(edits: ContainerEdits) -> tuple[cdi.Mount, ...]:
    return tuple(each for each in edits.mounts if each.container_path != cdi.CONTAINER_PRELOAD)
