"""A GPU's memory as file descriptors: CUDA's virtual memory management.

One allocation holds one copy. Its descriptor goes to clients over the store's socket, so they need
no shared PID or IPC namespace; they map it for reading with cuMemSetAccess. On a driver whose
descriptors are memfds (the simulated one) it is also sealed: no client can map it for writing. The
real drivers have no such seal: there, reading only is what an honest client asks for.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from . import layout, offered, staging
from .cuda import Gpu
from .protocol import Mechanism
from .sharing import Shown, write_index

_SEALS: Final = (
    getattr(fcntl, "F_SEAL_FUTURE_WRITE", 0x10)  # Linux 5.1; not in Python 3.11's fcntl
    | fcntl.F_SEAL_GROW
    | fcntl.F_SEAL_SHRINK
)


@dataclass(frozen=True, slots=True)
class _Allocation:
    handle: Any
    size_bytes: int


class VmmSharing:
    """Keeps weights on one GPU, each copy one allocation with a descriptor."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._properties = _properties(gpu)
        minimum = gpu.driver.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM
        self._granule = int(
            gpu.ok(gpu.driver.cuMemGetAllocationGranularity(self._properties, minimum))
        )

    def put(self, memfd: int) -> Shown:
        """Copy a sealed memfd of safetensors content to the GPU. Raises GpuError."""
        image = layout.of(offered.spans(memfd))
        size = -(-max(1, image.size_bytes) // self._granule) * self._granule
        gpu = self._gpu
        handle = gpu.ok(gpu.driver.cuMemCreate(size, self._properties, 0))
        allocation = _Allocation(handle, size)
        try:
            with self._mapped(allocation) as address:
                staging.copy(gpu, memfd, image, address)
            return self._show(allocation, image)
        except Exception:
            gpu.driver.cuMemRelease(handle)  # the error that is under way says more
            raise

    def free(self, shown: Shown) -> None:
        """Give up a copy. Raises GpuError."""
        for fd in shown.descriptors:
            os.close(fd)
        if isinstance(shown.keeps, _Allocation):
            self._gpu.ok(self._gpu.driver.cuMemRelease(shown.keeps.handle))

    def works(self) -> bool:
        """Tell whether the GPU still takes calls."""
        return self._gpu.works()

    @contextlib.contextmanager
    def _mapped(self, allocation: _Allocation) -> Iterator[int]:
        """Map an allocation for writing, for as long as it is filled."""
        gpu, driver, size = self._gpu, self._gpu.driver, allocation.size_bytes
        address = gpu.ok(driver.cuMemAddressReserve(size, 0, 0, 0))
        try:
            gpu.ok(driver.cuMemMap(address, size, 0, allocation.handle, 0))
            try:
                access = driver.CUmemAccessDesc()
                access.location = self._properties.location
                access.flags = driver.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                gpu.ok(driver.cuMemSetAccess(address, size, [access], 1))
                yield int(address)
                gpu.ok(driver.cuCtxSynchronize())
            finally:
                driver.cuMemUnmap(address, size)
        finally:
            driver.cuMemAddressFree(address, size)

    def _show(self, allocation: _Allocation, image: layout.Layout) -> Shown:
        gpu = self._gpu
        kind = self._properties.requestedHandleTypes
        fd = int(gpu.ok(gpu.driver.cuMemExportToShareableHandle(allocation.handle, kind, 0)))
        try:
            os.set_inheritable(fd, False)  # noqa: FBT003
            index_fd, index_bytes = write_index(image.entries)
        except Exception:
            os.close(fd)
            raise
        return Shown(
            Mechanism.VMM,
            mapped_bytes=allocation.size_bytes,
            index_fd=index_fd,
            index_bytes=index_bytes,
            weights_fd=fd,
            is_sealed=_seal(fd),
            keeps=allocation,
        )


def _properties(gpu: Gpu) -> Any:  # noqa: ANN401 (the bindings have no types)
    driver = gpu.driver
    properties = driver.CUmemAllocationProp()
    properties.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    properties.location.id = int(gpu.device)
    properties.requestedHandleTypes = (
        driver.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
    )
    return properties


def _seal(fd: int) -> bool:
    """Seal a descriptor against writing, where it is one that has seals; tell whether it is now."""
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:  # a real driver's descriptor
        return False
    return True
