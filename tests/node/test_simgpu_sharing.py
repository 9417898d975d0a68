"""Device memory that several processes see: virtual memory management and IPC."""

from tests.support.simgpu_node import counters, run, simulated_node

MIB = 1 << 20

MAPPED = """
import os, socket
properties = cuda.CUmemAllocationProp()
properties.type = cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
properties.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
FD = cuda.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
properties.requestedHandleTypes = FD
SIZE = 4 << 20
def show(handle):
    address = ok(cuda.cuMemAddressReserve(SIZE, 0, 0, 0))
    ok(cuda.cuMemMap(address, SIZE, 0, handle, 0))
    access = cuda.CUmemAccessDesc(); access.location = properties.location
    access.flags = cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
    ok(cuda.cuMemSetAccess(address, SIZE, [access], 1)); return address
"""


def test_memory_shared_by_descriptor_is_one_memory() -> None:
    """The child has a CUDA of its own: it is a fork from before the driver was initialised."""
    code = f"""{MAPPED}
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close(); context(); fds = socket.recv_fds(theirs, 1, 1)[1]
    address = show(ok(cuda.cuMemImportFromShareableHandle(fds[0], FD)))
    read = np.zeros(8, np.uint8); ok(cuda.cuMemcpyDtoH(read, address, 8))
    ok(cuda.cuMemsetD8(address, 9, 8)); theirs.send(bytes(read)); theirs.recv(1); os._exit(0)
theirs.close(); context()
handle = ok(cuda.cuMemCreate(SIZE, properties, 0)); address = show(handle)
ok(cuda.cuMemsetD8(address, 7, 8))
socket.send_fds(ours, [b"x"], [ok(cuda.cuMemExportToShareableHandle(handle, FD, 0))])
seen = ours.recv(8); mine = np.zeros(8, np.uint8); ok(cuda.cuMemcpyDtoH(mine, address, 8))
free, total = ok(cuda.cuMemGetInfo()); ours.send(b"x"); os.wait()
print([set(seen), set(mine.tolist()), (total - free) >> 20])
"""
    with simulated_node() as node:
        assert run(node, code) == "[{7}, {9}, 604]"


def test_mapped_memory_is_charged_until_its_last_use_ends() -> None:
    code = f"""{MAPPED}
context(); used = lambda: (lambda free, total: (total - free) >> 20)(*ok(cuda.cuMemGetInfo()))
handle = ok(cuda.cuMemCreate(SIZE, properties, 0)); address = show(handle)
ok(cuda.cuMemRelease(handle)); held = used()
ok(cuda.cuMemUnmap(address, SIZE)); ok(cuda.cuMemAddressFree(address, SIZE))
print([held, used(), cuda.cuMemCreate(1 << 35, properties, 0)[0].value])
"""
    with simulated_node() as node:
        assert run(node, code) == "[304, 300, 2]"


def test_an_ipc_handle_opens_the_exporters_memory() -> None:
    code = """
import ctypes, os, socket
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close(); context(); handle = cuda.CUipcMemHandle()
    ctypes.memmove(handle.getPtr(), theirs.recv(64), 64)
    address = ok(cuda.cuIpcOpenMemHandle(handle, 1))
    read = np.zeros(8, np.uint8); ok(cuda.cuMemcpyDtoH(read, address, 8))
    ok(cuda.cuMemsetD8(address, 9, 8)); ok(cuda.cuIpcCloseMemHandle(address))
    theirs.send(bytes(read)); os._exit(0)
context(); ok(cuda.cuMemAlloc(4096)); address = ok(cuda.cuMemAlloc(5000))
ok(cuda.cuMemsetD8(address, 7, 8)); theirs.close()
ours.send(ctypes.string_at(ok(cuda.cuIpcGetMemHandle(address)).getPtr(), 64))
seen = ours.recv(8); os.wait(); mine = np.zeros(8, np.uint8)
ok(cuda.cuMemcpyDtoH(mine, address, 8)); ok(cuda.cuMemFree(address))
print([set(seen), set(mine.tolist()), cuda.cuIpcGetMemHandle(address)[0].value])
"""
    with simulated_node() as node:
        assert run(node, code) == "[{7}, {9}, 1]"
        assert counters(node).memory_used_bytes == 0
