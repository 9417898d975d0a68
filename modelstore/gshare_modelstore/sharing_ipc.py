"""A GPU's memory by CUDA's legacy IPC handles, for drivers without VMM descriptors.

A handle names the memory; whoever has it may map it, and write to it: the driver has no right for
reading only. The memory is the store's own and ends with it, where VMM memory ends with its last
mapping. So VMM comes first, and this is a setting.
"""

import ctypes
import os

from . import layout, offered, staging
from .cuda import Gpu
from .protocol import IPC_BYTES, Mechanism
from .sharing import Shown, write_index


class IpcSharing:
    """Keeps weights on one GPU, each copy one allocation with a handle."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def put(self, memfd: int) -> Shown:
        """Copy a sealed memfd of safetensors content to the GPU. Raises GpuError."""
        gpu = self._gpu
        image = layout.of(offered.spans(memfd))
        size = max(1, image.size_bytes)
        address = gpu.ok(gpu.driver.cuMemAlloc(size))
        try:
            staging.copy(gpu, memfd, image, int(address))
            gpu.ok(gpu.driver.cuCtxSynchronize())
            handle = gpu.ok(gpu.driver.cuIpcGetMemHandle(address))
            raw = ctypes.string_at(handle.getPtr(), IPC_BYTES)
            index_fd, index_bytes = write_index(image.entries)
        except Exception:
            gpu.driver.cuMemFree(address)  # the error that is under way says more
            raise
        return Shown(
            Mechanism.IPC,
            mapped_bytes=size,
            index_fd=index_fd,
            index_bytes=index_bytes,
            handle=raw,
            keeps=address,
        )

    def free(self, shown: Shown) -> None:
        """Give up a copy. Raises GpuError."""
        os.close(shown.index_fd)
        self._gpu.ok(self._gpu.driver.cuMemFree(shown.keeps))

    def works(self) -> bool:
        """Tell whether the GPU still takes calls."""
        return self._gpu.works()
