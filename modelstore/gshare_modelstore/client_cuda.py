"""The CUDA driver calls that the client makes, through cuda-bindings, loaded at the first of them.

A map of the store's memory is made in the context that is current; where there is none, in the
device's primary context, which is current from then on.
"""

import contextlib
import ctypes
import functools
import logging
import os
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from . import dlpack
from .errors import GpuError

_LOG = logging.getLogger(__name__)
_NO_READ_ONLY: Final = ("CUDA_ERROR_NOT_SUPPORTED", "CUDA_ERROR_INVALID_VALUE")


class DeviceMemory:
    """A range of a device's memory; given back when nobody holds this object any more.

    Then `ended` is called, where somebody added to it.
    """

    __slots__ = ("__weakref__", "address", "device", "ended", "is_read_only")

    def __init__(self, address: int, ordinal: int, *, is_read_only: bool) -> None:
        self.address = address
        self.device = (dlpack.CUDA, ordinal)
        self.is_read_only = is_read_only
        self.ended: list[Callable[[], None]] = []


@functools.cache
def driver() -> Any:  # noqa: ANN401 (the bindings have no types)
    """Return the initialised driver's bindings; GpuError where there are none, or no driver."""
    try:
        from cuda.bindings import driver as cuda  # noqa: PLC0415 (CPU programs do without)
    except ImportError as error:
        raise GpuError("cuda-bindings", "not installed, so GPU memory cannot be mapped") from error
    try:
        _check(cuda, cuda.cuInit, cuda.cuInit(0))
    except RuntimeError as error:  # how the bindings say that libcuda.so.1 is not there
        raise GpuError("cuInit", "no CUDA driver (libcuda.so.1)") from error
    return cuda


def ordinal_of(gpu_uuid: str, wanted: int | None) -> int:
    """Return which device of this process is the GPU called `gpu_uuid`.

    GpuError where it is none, or another than `wanted`.
    """
    seen = _ordinals()
    found = seen.get(gpu_uuid)
    if found is None:
        raise GpuError(gpu_uuid, f"the store's GPU is not among this process's: {', '.join(seen)}")
    if wanted is not None and wanted != found:
        raise GpuError(gpu_uuid, f"the store's GPU is cuda:{found}, not cuda:{wanted}")
    return found


@functools.cache
def _ordinals() -> dict[str, int]:
    """Return the devices by their GPUs' UUIDs: they stay as they are while the process lives."""
    cuda = driver()
    seen = {}
    for ordinal in range(_call(cuda.cuDeviceGetCount)):
        raw = _call(cuda.cuDeviceGetUuid, _call(cuda.cuDeviceGet, ordinal))
        seen[f"GPU-{uuid.UUID(bytes=bytes(raw.bytes)[:16])}"] = ordinal
    return seen


def import_vmm(descriptor: int, size_bytes: int, ordinal: int) -> DeviceMemory:
    """Map memory that a descriptor of cuMemExportToShareableHandle names, for reading."""
    cuda = driver()
    kind = cuda.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
    with _Undo(ordinal) as undo:
        shared = _call(cuda.cuMemImportFromShareableHandle, descriptor, kind)
        try:
            address = int(_call(cuda.cuMemAddressReserve, size_bytes, 0, 0, 0))
            undo.callback(cuda.cuMemAddressFree, address, size_bytes)
            _call(cuda.cuMemMap, address, size_bytes, 0, shared, 0)
            undo.callback(cuda.cuMemUnmap, address, size_bytes)
        finally:
            cuda.cuMemRelease(shared)  # the map holds the memory from here on
        is_read_only = _set_access(address, size_bytes, ordinal)
        return undo.keep(DeviceMemory(address, ordinal, is_read_only=is_read_only))


def open_ipc(raw: bytes, ordinal: int) -> DeviceMemory:
    """Map memory that a CUDA IPC handle names; CUDA has no read-only map of one."""
    cuda = driver()
    handle = cuda.CUipcMemHandle()
    ctypes.memmove(handle.getPtr(), raw, len(raw))
    flags = cuda.CUipcMem_flags.CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS.value
    with _Undo(ordinal) as undo:
        address = int(_call(cuda.cuIpcOpenMemHandle, handle, flags))
        undo.callback(cuda.cuIpcCloseMemHandle, address)
        return undo.keep(DeviceMemory(address, ordinal, is_read_only=True))


def allocate(size_bytes: int, ordinal: int) -> DeviceMemory:
    """Return private device memory."""
    cuda = driver()
    with _Undo(ordinal) as undo:
        address = int(_call(cuda.cuMemAlloc, max(1, size_bytes)))
        undo.callback(cuda.cuMemFree, address)
        return undo.keep(DeviceMemory(address, ordinal, is_read_only=False))


def upload(memory: DeviceMemory, offset: int, content: npt.NDArray[np.uint8]) -> None:
    """Copy bytes from the host to `offset` in device memory, and wait for it."""
    if content.size:
        cuda = driver()
        source = int(content.__array_interface__["data"][0])
        with _current(memory.device[1]):
            _call(cuda.cuMemcpyHtoD, memory.address + offset, source, content.size)


def download(address: int, size_bytes: int) -> npt.NDArray[np.uint8]:
    """Return a copy of device memory, as it is when all work before this is done."""
    content = np.empty(size_bytes, np.uint8)
    if size_bytes:
        cuda = driver()
        target = int(content.__array_interface__["data"][0])
        with _current(ordinal_at(address)):
            _call(cuda.cuCtxSynchronize)
            _call(cuda.cuMemcpyDtoH, target, address, size_bytes)
    return content


def first_ordinal() -> int:
    """Return the device of the calling thread's context, or the first one."""
    cuda = driver()
    if not int(_call(cuda.cuCtxGetCurrent)):
        return 0
    return int(_call(cuda.cuCtxGetDevice))


class _Undo:
    """In a context of a device: undoes what was done so far, unless the memory of it is kept."""

    def __init__(self, ordinal: int) -> None:
        self._context = _context_on(ordinal)
        self._undone = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the context current."""
        _call(driver().cuCtxPushCurrent, self._context)
        return self

    def __exit__(self, *raised: object) -> None:
        """Undo what nobody kept, and leave the context."""
        self._undone.close()
        driver().cuCtxPopCurrent()

    def callback(self, function: Callable[..., object], *arguments: object) -> None:
        """Call this to undo, last first."""
        self._undone.callback(function, *arguments)

    def keep(self, memory: DeviceMemory) -> DeviceMemory:
        """Leave everything to the end of `memory`."""
        arguments = (os.getpid(), self._context, self._undone.pop_all(), memory.ended)
        finalizer = weakref.finalize(memory, _end, *arguments)
        finalizer.atexit = False  # the driver gives everything back when the process ends
        return memory


def _end(
    pid: int, context: object, undone: contextlib.ExitStack, ended: list[Callable[[], None]]
) -> None:
    """Give memory back, once no GPU work that may read it is left.

    In a fork, whose copy of the object this is, CUDA does not work and nothing is given back.
    """
    if os.getpid() != pid:
        return
    cuda = driver()
    is_current = cuda.cuCtxPushCurrent(context)[0] == cuda.CUresult.CUDA_SUCCESS
    if is_current:
        cuda.cuCtxSynchronize()
    undone.close()
    if is_current:
        cuda.cuCtxPopCurrent()
    for each in ended:
        each()


def _context_on(ordinal: int) -> object:
    """Return a context of the device: the thread's own, else the primary one.

    A thread that has none has that one from now on, as after any call of CUDA's runtime.
    """
    cuda = driver()
    context = _call(cuda.cuCtxGetCurrent)
    if not int(context):
        context = _primary(os.getpid(), ordinal)
        _call(cuda.cuCtxSetCurrent, context)
        return context
    if int(_call(cuda.cuCtxGetDevice)) == ordinal:
        return context
    return _primary(os.getpid(), ordinal)


@functools.cache
def _primary(_pid: int, ordinal: int) -> object:
    """Return the device's primary context, held until the process ends, as the runtime holds it."""
    cuda = driver()
    return _call(cuda.cuDevicePrimaryCtxRetain, _call(cuda.cuDeviceGet, ordinal))


@contextlib.contextmanager
def _current(ordinal: int) -> Iterator[None]:
    with _Undo(ordinal):
        yield


def _set_access(address: int, size_bytes: int, ordinal: int) -> bool:
    """Make a map readable; return whether the driver keeps it from being written."""
    cuda = driver()
    try:
        _call(cuda.cuMemSetAccess, address, size_bytes, _access(ordinal, is_read_only=True), 1)
    except GpuError as error:
        if error.result not in _NO_READ_ONLY:
            raise
        _call(cuda.cuMemSetAccess, address, size_bytes, _access(ordinal, is_read_only=False), 1)
        _LOG.info("weights_writable reason=%s", error.result)
        return False
    return True


@functools.cache
def _access(ordinal: int, *, is_read_only: bool) -> Sequence[object]:
    """Return a device's rights to memory, as cuMemSetAccess takes them."""
    cuda = driver()
    access = cuda.CUmemAccessDesc()
    access.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    access.location.id = ordinal
    rights = cuda.CUmemAccess_flags
    access.flags = (
        rights.CU_MEM_ACCESS_FLAGS_PROT_READ
        if is_read_only
        else rights.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
    )
    return [access]


def ordinal_at(address: int) -> int:
    """Return the device whose memory lies at `address`."""
    cuda = driver()
    attribute = cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    return int(_call(cuda.cuPointerGetAttribute, attribute, address))


def _call(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Call a driver function and return its output; GpuError where it fails."""
    return _check(driver(), function, function(*arguments))


def _check(cuda: Any, function: Callable[..., Any], outcome: Any) -> Any:  # noqa: ANN401
    result, *outputs = outcome
    if result != cuda.CUresult.CUDA_SUCCESS:
        raise GpuError(function.__name__, cuda.CUresult(result).name)
    return outputs[0] if outputs else None
