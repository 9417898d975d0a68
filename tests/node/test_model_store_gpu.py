"""The store's two ways to show a GPU's memory, on a simulated GPU with the real bindings."""

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.simgpu_node import run, running, simulated_node
from tests.support.store_client import (
    RawClient,
    StoreProcess,
    content,
    store,
    wait_until,
)
from tests.support.store_folder import GpuFolderScene

from gshare_modelstore.protocol import Mechanism, Op, Status, Tell, Tier

MIB = 1 << 20
GIB = 1 << 30
CONTEXT_MIB = 300


class Stage:
    """A simulated GPU, its folder with one lease, and what its memory shows."""

    def __init__(self, node, path: Path) -> None:
        self.node = node
        self.folder = GpuFolderScene(path / node.gpus[0].uuid)
        self.folder.add("l1", "red")
        self.folder.budget(device=GIB, host=GIB)

    def serve(self, *flags: str) -> contextlib.AbstractContextManager[StoreProcess]:
        flags = ("--dir", str(self.folder.path), *flags)
        environment = self.node.environment()
        return store(*flags, at=self.folder.socket("l1"), environment=environment)

    def client(self) -> RawClient:
        return RawClient(self.folder.socket("l1"))

    def used_mib(self) -> int:
        """Memory of the GPU in use, without that of the process which asks."""
        code = "context(); free, total = ok(cuda.cuMemGetInfo()); print((total - free) >> 20)"
        return int(run(self.node, code)) - CONTEXT_MIB


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a stage whose store has not started."""
    with simulated_node() as node:
        yield Stage(node, tmp_path)


def test_no_context_is_made_before_there_are_weights(stage: Stage) -> None:
    with stage.serve(), stage.client() as client:
        client.get("m")

        assert stage.used_mib() == 0


def test_weights_lie_on_the_gpu_once_and_are_told(stage: Stage) -> None:
    with stage.serve(), stage.client() as one, stage.client() as two:
        first = one.store("m", content(size_bytes=8 * MIB))
        second = two.get("m")
        wait_until(lambda: stage.folder.resident == {"red/m": 8 * MIB})

        assert first.reply.mechanism is second.reply.mechanism is Mechanism.VMM
        assert first.reply.gpu_uuid == stage.node.gpus[0].uuid
        assert first.reply.mapped_bytes == 8 * MIB
        assert stage.used_mib() == CONTEXT_MIB + 8


def test_what_is_copied_is_what_was_stored(stage: Stage) -> None:
    """On the simulated driver a descriptor is a memfd, whose bytes can be looked at."""
    with stage.serve(), stage.client() as client:
        given = client.store("m", content(b"\x21", 3 * MIB + 5))
        (entry,) = given.entries
        data = os.pread(given.descriptors[1], entry.size_bytes, entry.offset)

    assert entry.offset % 256 == 0
    assert data == b"\x21" * (3 * MIB + 5)


def test_a_client_cannot_map_the_weights_for_writing(stage: Stage) -> None:
    with stage.serve(), stage.client() as client:
        given = client.store("m", content(size_bytes=MIB))
        fd = given.descriptors[1]

        assert Tell.SEALED in given.reply.flags
        with pytest.raises(PermissionError):
            mmap.mmap(fd, MIB, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)


def test_a_budget_that_shrinks_frees_the_gpu_and_keeps_the_hosts_copy(stage: Stage) -> None:
    with stage.serve(), stage.client() as client, stage.client() as other:
        client.store("m", content(size_bytes=8 * MIB))
        client.close()
        stage.folder.budget(device=MIB, host=GIB)
        wait_until(lambda: stage.folder.resident == {})
        wait_until(lambda: stage.used_mib() == CONTEXT_MIB)

        assert other.get("m").reply.tier is Tier.HOST


def test_what_went_to_host_memory_comes_back(stage: Stage) -> None:
    data = content(b"\x33", 8 * MIB)
    with stage.serve(), stage.client() as client, stage.client() as other:
        client.store("m", data, tier=Tier.HOST)

        given = other.get("m", Tier.DEVICE)

        assert given.reply.mechanism is Mechanism.VMM
        assert os.pread(given.descriptors[1], 8 * MIB, 0) == b"\x33" * 8 * MIB


def test_memory_that_the_driver_does_not_have_is_refused_with_its_error(stage: Stage) -> None:
    stage.folder.budget(device=64 * GIB, host=GIB)
    code = "context(); ok(cuda.cuMemAlloc((16 << 30) - (620 << 20))); ready()"
    with stage.serve(), stage.client() as client, running(stage.node, code):
        full = client.store("m", content(size_bytes=64 * MIB), tier=Tier.DEVICE)

        assert full.status is Status.FULL
        assert "OUT_OF_MEMORY" in full.reply.text


def test_a_gpu_that_is_not_there_leaves_the_host(stage: Stage) -> None:
    other = GpuFolderScene(stage.folder.path.parent / "GPU-none")
    other.add("l1", "red")
    other.budget(device=GIB, host=GIB)
    flags = ("--dir", str(other.path))
    socket = other.socket("l1")
    with store(*flags, at=socket, environment=stage.node.environment()), RawClient(socket) as one:
        given = one.store("m", content())
        strict = one.ask(Op.GET, "m", tier=Tier.DEVICE)

    assert (given.status, given.reply.tier) == (Status.READY, Tier.HOST)
    assert (strict.status, "GPU-none" in strict.reply.text) == (Status.ERROR, True)


def test_a_killed_store_leaves_no_memory_of_the_gpu(stage: Stage) -> None:
    with stage.serve() as process, stage.client() as client:
        given = client.store("m", content(size_bytes=8 * MIB))
        process.kill()
        given.close()

    wait_until(lambda: stage.used_mib() == 0)


IPC = """
handle = cuda.CUipcMemHandle()
ctypes.memmove(handle.getPtr(), bytes.fromhex(sys.argv[1]), 64)
context(); address = ok(cuda.cuIpcOpenMemHandle(handle, 1))
read = np.zeros(4, np.uint8); ok(cuda.cuMemcpyDtoH(read, address, 4)); print(read.tolist())
"""


def test_ipc_handles_show_the_weights_to_another_process(stage: Stage) -> None:
    with stage.serve("--sharing", "ipc"), stage.client() as client:
        given = client.store("m", content(b"\x09", MIB))
        code = IPC.replace("sys.argv[1]", repr(given.reply.ipc_handle.hex()))

        seen = run(stage.node, f"import ctypes\n{code}")

    assert given.reply.mechanism is Mechanism.IPC
    assert Tell.SEALED not in given.reply.flags
    assert len(given.descriptors) == 1
    assert seen == "[9, 9, 9, 9]"
