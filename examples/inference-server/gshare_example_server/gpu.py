"""The CUDA driver calls that the server makes: one context, one stream, memory, events.

Plain driver calls through cuda-bindings, as any CUDA program makes them. Every failure becomes a
GpuError that names the call and CUDA's own name for the result.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from cuda.bindings import driver as cuda


class GpuError(Exception):
    """A driver call that failed: `call` is its name, `result` CUDA's name for the error."""

    def __init__(self, call: str, result: str, doing: str = "") -> None:
        self.call = call
        self.result = result
        while_doing = f" while {doing}" if doing else ""
        super().__init__(f"{call} failed with {result}{while_doing}")


def call(function: Callable[..., Any], *arguments: object, doing: str = "") -> Any:  # noqa: ANN401
    """Call a driver function and return its outputs; raises GpuError where it fails."""
    result, *outputs = function(*arguments)
    if result != cuda.CUresult.CUDA_SUCCESS:
        raise GpuError(function.__name__, cuda.CUresult(result).name, doing)
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _initialise() -> None:
    """Load and initialise the driver; GpuError where there is none (the bindings look it up)."""
    try:
        call(cuda.cuInit, 0)
    except RuntimeError as error:
        raise GpuError("cuInit", "no CUDA driver (libcuda.so.1) on this machine") from error


class Gpu:
    """The first visible GPU: its context, and one stream that orders all work of the process."""

    def __init__(self) -> None:
        _initialise()
        self._device = call(cuda.cuDeviceGet, 0)
        self.context = call(cuda.cuDevicePrimaryCtxRetain, self._device, doing="making the context")
        self.use_on_this_thread()
        self.stream = call(cuda.cuStreamCreate, cuda.CUstream_flags.CU_STREAM_NON_BLOCKING.value)

    @property
    def name(self) -> str:
        """The device's name, as the driver gives it."""
        raw: bytes = call(cuda.cuDeviceGetName, 96, self._device)
        return raw.split(b"\0", 1)[0].decode()

    def use_on_this_thread(self) -> None:
        """Make the context current for the calling thread."""
        call(cuda.cuCtxSetCurrent, self.context)

    def functions(self, ptx: bytes, names: list[str]) -> list[Any]:
        """Load a PTX module and return its entries called `names`."""
        module = call(cuda.cuModuleLoadData, ptx, doing="loading the model's kernels")
        return [call(cuda.cuModuleGetFunction, module, name.encode()) for name in names]

    def allocate(self, size_bytes: int, purpose: str) -> int:
        """Return the address of `size_bytes` of device memory for `purpose`."""
        pointer = call(cuda.cuMemAlloc, size_bytes, doing=f"allocating {size_bytes} B: {purpose}")
        return int(pointer)

    def close(self) -> None:
        """Wait for the GPU and give the context back."""
        call(cuda.cuStreamSynchronize, self.stream)
        call(cuda.cuDevicePrimaryCtxRelease, self._device)


class PinnedBuffer:
    """Page-locked host memory, the end of a copy that runs beside the host."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.address = int(call(cuda.cuMemHostAlloc, size_bytes, 0))

    def write(self, content: bytes) -> None:
        """Store `content` at the start; raises ValueError where it does not fit."""
        if len(content) > self.size_bytes:
            raise ValueError(f"{len(content)} B do not fit into {self.size_bytes} B")
        ctypes.memmove(self.address, content, len(content))

    def read(self) -> bytes:
        """Return a copy of the whole content."""
        return ctypes.string_at(self.address, self.size_bytes)


class Interval:
    """A pair of events on a stream that tell how long the GPU took between them."""

    def __init__(self) -> None:
        # A waiting host thread sleeps rather than spins.
        flags = cuda.CUevent_flags.CU_EVENT_BLOCKING_SYNC.value
        self._start = call(cuda.cuEventCreate, flags)
        self._end = call(cuda.cuEventCreate, flags)

    def open(self, stream: object) -> None:
        """Mark the start, behind all that `stream` already holds."""
        call(cuda.cuEventRecord, self._start, stream)

    def close(self, stream: object) -> None:
        """Mark the end, behind all that `stream` now holds."""
        call(cuda.cuEventRecord, self._end, stream)

    def wait(self) -> float:
        """Block until the GPU passed the end, and return the seconds since the start."""
        call(cuda.cuEventSynchronize, self._end)
        return float(call(cuda.cuEventElapsedTime, self._start, self._end)) / 1000
