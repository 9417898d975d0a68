"""What a store does when its GPU fails: a server in this process, and a GPU that fails at will."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.store_client import RawClient, accepts, content, wait_until

from gshare.errors import GshareError
from gshare_modelstore import sharing_memfd
from gshare_modelstore.cuda import OUT_OF_MEMORY, GpuError
from gshare_modelstore.places import SocketPlace
from gshare_modelstore.protocol import Status, Tier
from gshare_modelstore.server import Server
from gshare_modelstore.settings import SocketSettings
from gshare_modelstore.sharing import Shown

MIB = 1 << 20
ILLEGAL_ADDRESS = 700


class FakeSharing:
    """A GPU of little memory, whose copies are memfds."""

    def __init__(self, memory_bytes: int) -> None:
        self.free_bytes = memory_bytes
        self.is_lost = False

    def put(self, memfd: int) -> Shown:
        if self.is_lost:
            raise GpuError("GPU GPU-1: CUDA_ERROR_ILLEGAL_ADDRESS", ILLEGAL_ADDRESS)
        shown, size = sharing_memfd.show(os.dup(memfd))
        if size > self.free_bytes:
            for each in shown.descriptors:
                os.close(each)
            raise GpuError("GPU GPU-1: CUDA_ERROR_OUT_OF_MEMORY", OUT_OF_MEMORY)
        self.free_bytes -= size
        return shown

    def free(self, shown: Shown) -> None:
        self.free_bytes += -(-shown.mapped_bytes // (2 * MIB)) * 2 * MIB
        for each in shown.descriptors:
            os.close(each)

    def works(self) -> bool:
        return not self.is_lost


class Scene:
    """A running server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gpu = FakeSharing(8 * MIB)
        settings = SocketSettings(path, "red", host_bytes=0, device_bytes=64 * MIB, gpu="GPU-1")
        self.server = Server(SocketPlace(settings, None), 0.01, lambda: self.gpu)
        self.stop = threading.Event()
        self.end: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        wait_until(lambda: accepts(path))

    def _run(self) -> None:
        try:
            self.server.run(self.stop)
        except GshareError as error:
            self.end = error
        finally:
            self.server.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Run a server whose GPU has 8 MiB, though its budget says 64."""
    made = Scene(tmp_path / "store.sock")
    yield made
    made.stop.set()
    made.thread.join()


def test_memory_that_the_driver_lacks_is_made_by_evicting(scene: Scene) -> None:
    with RawClient(scene.path) as client:
        client.store("a", content(b"a", 5 * MIB), tier=Tier.DEVICE).close()
    with RawClient(scene.path) as client:
        wait_until(lambda: all(each.references == 0 for each in client.list()))

        given = client.store("b", content(b"b", 5 * MIB), tier=Tier.DEVICE)

        assert (given.status, given.bytes[:2]) == (Status.READY, b"bb")
        assert [each.key for each in client.list()] == ["b"]


def test_memory_that_the_driver_lacks_for_those_in_use_is_refused(scene: Scene) -> None:
    with RawClient(scene.path) as client:
        client.store("a", content(b"a", 5 * MIB), tier=Tier.DEVICE)

        full = client.store("b", content(b"b", 5 * MIB), tier=Tier.DEVICE)

    assert (full.status, "OUT_OF_MEMORY" in full.reply.text) == (Status.FULL, True)


def test_a_gpu_that_is_lost_ends_the_store_after_its_answer(scene: Scene) -> None:
    with RawClient(scene.path) as client:
        scene.gpu.is_lost = True

        given = client.store("a", content(), tier=Tier.DEVICE)
        scene.thread.join(20)

    assert (given.status, "ILLEGAL_ADDRESS" in given.reply.text) == (Status.ERROR, True)
    assert "GPU lost, starting anew" in str(scene.end)
    assert not scene.path.exists()
