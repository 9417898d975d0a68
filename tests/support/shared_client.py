"""A program on a simulated GPU that does what it is told, line by line: see `gpu_shell`.

What it offers to the lines is device memory that several processes see.
"""

import ast
import ctypes
import fcntl
import mmap
import os
import socket
import sys
import threading

import numpy as np
import pynvml
from tests.support.simgpu_client import context, cuda, ok

__all__ = [
    "FD", "FUTURE_WRITE", "READ", "READ_WRITE", "access", "alloc", "context", "cuda", "fcntl",
    "give", "handle", "ipc", "ipc_open", "load", "make", "nvml_mib", "ok", "os", "peek", "poke",
    "prepare", "properties", "refusal", "sealed_memfd", "share_map", "take", "used_mib", "values",
    "view",
]  # fmt: skip

SIZE = 4 << 20
FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE
READ = cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READ
READ_WRITE = cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
FD = cuda.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR


def properties():
    """Return what asks for memory of the first GPU that can be exported as a descriptor."""
    wanted = cuda.CUmemAllocationProp()
    wanted.type = cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    wanted.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    wanted.requestedHandleTypes = FD
    return wanted


def access(flags):
    """Return the description that gives the first GPU these rights."""
    wanted = cuda.CUmemAccessDesc()
    wanted.location = properties().location
    wanted.flags = flags
    return wanted


def make(size=SIZE):
    """Return a handle of new memory."""
    return ok(cuda.cuMemCreate(size, properties(), 0))


def prepare(flags, size=SIZE):
    """Set the rights of the memory that `view` mapped last; return the driver's answer."""
    return int(cuda.cuMemSetAccess(state["address"], size, [access(flags)], 1)[0])


def view(of, flags=None, size=SIZE):
    """Map a handle; return the address."""
    address = ok(cuda.cuMemAddressReserve(size, 0, 0, 0))
    ok(cuda.cuMemMap(address, size, 0, of, 0))
    state["address"] = int(address)
    if flags is not None:
        ok(cuda.cuMemSetAccess(address, size, [access(flags)], 1))
    return int(address)


def handle(fd):
    """Import a descriptor; return the handle, or the name of the driver's error."""
    error, *imported = cuda.cuMemImportFromShareableHandle(fd, FD)
    return error.name if error else int(imported[0])


def load(address, value, size=SIZE):
    """Fill memory."""
    ok(cuda.cuMemsetD8(address, value, size))


def values(address, size=8):
    """Return which bytes the first ones are."""
    found = np.zeros(size, np.uint8)
    ok(cuda.cuMemcpyDtoH(found, address, size))
    return sorted(set(found.tolist()))


def peek(address):
    """Read a byte without the driver."""
    return ctypes.c_uint8.from_address(address).value


def poke(address, value):
    """Write a byte without the driver."""
    ctypes.c_uint8.from_address(address).value = value


def refusal(act):
    """Return the name of the exception that an act ends with."""
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return None


def share_map(fd):
    """Map a descriptor's memory to write, past the driver."""
    return mmap.mmap(fd, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def sealed_memfd(name, size):
    """Return memory of the host whose size is sealed as device memory's is."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def used_mib():
    """Return how much of the GPU is in use."""
    free, total = ok(cuda.cuMemGetInfo())
    return (total - free) >> 20


def nvml_mib():
    """Return what NVML says is in use of the first GPU, and by each process."""
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    used = pynvml.nvmlDeviceGetMemoryInfo(gpu).used >> 20
    return used, {each.pid: each.usedGpuMemory >> 20 for each in processes}


def give(of, place):
    """Export a handle; whoever connects to `place` gets the descriptor, once."""
    exported = ok(cuda.cuMemExportToShareableHandle(of, FD, 0))
    server = socket.socket(socket.AF_UNIX)
    server.bind(place)
    server.listen()

    def serve():
        peer = server.accept()[0]
        socket.send_fds(peer, [b"x"], [exported])

    threading.Thread(target=serve, daemon=True).start()
    return exported


def take(place):
    """Return the descriptor that is given at `place`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        return socket.recv_fds(connection, 1, 1)[1][0]


def alloc(size):
    """Allocate; return the address."""
    return int(ok(cuda.cuMemAlloc(size)))


def ipc(address):
    """Return a CUDA IPC handle as text."""
    return ctypes.string_at(ok(cuda.cuIpcGetMemHandle(address)).getPtr(), 64).hex()


def ipc_open(text):
    """Open a CUDA IPC handle; return the address, or the name of the driver's error."""
    opened = cuda.CUipcMemHandle()
    ctypes.memmove(opened.getPtr(), bytes.fromhex(text), 64)
    error, *address = cuda.cuIpcOpenMemHandle(opened, 1)
    return error.name if error else int(address[0])


def shown(value):
    """Return a value as text; None stands for one that has no plain text."""
    try:
        ast.literal_eval(repr(value))
    except (SyntaxError, ValueError):
        return "None"
    return repr(value)


state = {}


def main():
    """Run what stands on each line of standard input, and print its value."""
    scope = {name: globals()[name] for name in __all__}
    print("ready", flush=True)  # noqa: T201 (the test reads it)
    for line in sys.stdin:
        name, _, code = line.rstrip("\n").partition("=")
        scope[name] = eval(code, scope)  # noqa: S307 (the test wrote it)
        print(shown(scope[name]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
