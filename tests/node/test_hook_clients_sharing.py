"""Memory that two leases share: held to one account, charged once, and theirs whoever dies."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import simgpu_node
from tests.support.daemon import eventually
from tests.support.hooked import CONTEXT_BYTES, MIB, HookedGpu, hooked_gpu

SIZE = 20 * MIB
SERVES = """
import ctypes, socket
context(); work = kernel(8, 100)
def serve(send):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(PLACE); server.listen(); print("ready", flush=True)
        send(server.accept()[0]); time.sleep(30)
def meet():
    connection = socket.socket(socket.AF_UNIX); connection.connect(PLACE); return connection
def use(address):
    values = np.zeros(8, np.uint8); ok(cuda.cuMemcpyDtoH(values, address, 8))
    assert set(values.tolist()) == {7}; ok(cuda.cuMemsetD8(address, 9, 8))
    launch(work, 30); ok(cuda.cuCtxSynchronize()); print("ready", flush=True)
"""
IPC_EXPORT = """
address = ok(cuda.cuMemAlloc(20 << 20)); ok(cuda.cuMemsetD8(address, 7, 20 << 20))
launch(work, 10)
serve(lambda peer: peer.send(ctypes.string_at(ok(cuda.cuIpcGetMemHandle(address)).getPtr(), 64)))
"""
IPC_IMPORT = """
handle = cuda.CUipcMemHandle(); ctypes.memmove(handle.getPtr(), meet().recv(64), 64)
address = ok(cuda.cuIpcOpenMemHandle(handle, 1)); use(address)
sys.stdin.readline(); ok(cuda.cuIpcCloseMemHandle(address)); print("closed", flush=True)
sys.stdin.readline()
"""
MAPPED = """
properties = cuda.CUmemAllocationProp()
properties.type = cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
properties.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
FD = cuda.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
properties.requestedHandleTypes = FD
def show(handle):
    address = ok(cuda.cuMemAddressReserve(20 << 20, 0, 0, 0))
    ok(cuda.cuMemMap(address, 20 << 20, 0, handle, 0))
    access = cuda.CUmemAccessDesc(); access.location = properties.location
    access.flags = cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
    ok(cuda.cuMemSetAccess(address, 20 << 20, [access], 1)); return address
"""
FD_EXPORT = f"""{MAPPED}
handle = ok(cuda.cuMemCreate(20 << 20, properties, 0)); address = show(handle)
ok(cuda.cuMemsetD8(address, 7, 20 << 20)); launch(work, 10)
exported = ok(cuda.cuMemExportToShareableHandle(handle, FD, 0))
serve(lambda peer: socket.send_fds(peer, [b"x"], [exported]))
"""
FD_IMPORT = f"""{MAPPED}
fd = socket.recv_fds(meet(), 1, 1)[1][0]
handle = ok(cuda.cuMemImportFromShareableHandle(fd, FD)); address = show(handle); use(address)
sys.stdin.readline(); ok(cuda.cuMemUnmap(address, 20 << 20)); ok(cuda.cuMemRelease(handle))
print("closed", flush=True); sys.stdin.readline()
"""
WAYS = {"by CUDA IPC": (IPC_EXPORT, IPC_IMPORT), "by a descriptor": (FD_EXPORT, FD_IMPORT)}


@contextmanager
def owner_and_guest(
    way: tuple[str, str], place: Path
) -> Iterator[tuple[HookedGpu, subprocess.Popen[str], subprocess.Popen[str]]]:
    """Run a process of each lease; the guest's has opened and used the owner's memory."""
    shared = f"PLACE = {str(place)!r}{SERVES}"
    with (
        hooked_gpu("owner", "guest") as gpu,
        gpu.running("owner", shared + way[0]) as owner,
        gpu.running("guest", shared + way[1]) as guest,
    ):
        yield gpu, owner, guest


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_imported_memory_is_charged_to_its_owner_alone(
    way: tuple[str, str], tmp_path: Path
) -> None:
    with owner_and_guest(way, tmp_path / "place") as (gpu, _, guest):
        slot = gpu.counters("guest").slots[0]
        assert (slot.memory_bytes, slot.imported_bytes) == (CONTEXT_BYTES, SIZE)
        assert gpu.accounted("owner") == CONTEXT_BYTES + SIZE
        assert gpu.taken() == gpu.accounted("owner") + gpu.accounted("guest")

        assert guest.stdin is not None
        assert guest.stdout is not None
        guest.stdin.write("\n")
        guest.stdin.flush()
        assert guest.stdout.readline() == "closed\n"
        assert gpu.counters("guest").slots[0].imported_bytes == 0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_each_lease_is_counted_for_the_calls_that_it_makes_on_shared_memory(
    way: tuple[str, str], tmp_path: Path
) -> None:
    def seen(lease_id: str) -> tuple[int, int]:
        hook = sum(slot.launches for slot in gpu.counters(lease_id).slots)
        return hook, simgpu_node.counters(gpu.gpu).account(lease_id).calls

    with owner_and_guest(way, tmp_path / "place") as (gpu, _, _):
        assert eventually(lambda: seen("owner") == (11, 11)), seen("owner")
        assert eventually(lambda: seen("guest") == (32, 32)), seen("guest")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_guest_that_is_killed_leaves_the_owner_its_memory(
    way: tuple[str, str], tmp_path: Path
) -> None:
    with owner_and_guest(way, tmp_path / "place") as (gpu, owner, guest):
        guest.kill()
        guest.wait()

        assert eventually(lambda: gpu.node.control.stats().lease("guest").imported_bytes == 0)
        assert gpu.taken() == gpu.accounted("owner") == CONTEXT_BYTES + SIZE
        assert owner.poll() is None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_an_owner_that_is_killed_leaves_nothing_on_its_account(
    way: tuple[str, str], tmp_path: Path
) -> None:
    """The GPU still holds the memory, and charges it to its guest; the guest's cap does not."""
    with owner_and_guest(way, tmp_path / "place") as (gpu, owner, guest):
        owner.kill()
        owner.wait()

        assert eventually(lambda: gpu.node.control.stats().lease("owner").memory_bytes == 0)
        assert gpu.accounted("guest") == CONTEXT_BYTES
        assert gpu.taken() == CONTEXT_BYTES + SIZE
        assert guest.poll() is None


def test_memory_that_is_imported_and_mapped_twice_is_counted_once(tmp_path: Path) -> None:
    twice = FD_IMPORT.replace("use(address)", "show(handle); use(address)")
    with owner_and_guest((FD_EXPORT, twice), tmp_path / "place") as (gpu, _, _):
        assert gpu.counters("guest").slots[0].imported_bytes == SIZE
