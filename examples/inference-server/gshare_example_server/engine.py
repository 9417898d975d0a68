"""Runs inferences: input copy, the model's kernel table in order, output copy, wait.

Requests are pipelined: up to `in_flight` of them are enqueued at once, so that the GPU finds the
next request behind the present one and no host gap shows on it. All of them use ONE stream: the
kernels of two requests never run side by side, and a request takes what its table says.

Threads: a request takes a slot (its buffers and events) on its own thread and waits there; one
launching thread enqueues request after request. Between two of them no thread has to wake up, so
the GPU's queue does not run dry there. A launch may block, as a full queue or a GPU token makes it.
"""

import ctypes
import dataclasses
import queue
import threading
from concurrent import futures
from typing import Any

from cuda.bindings import driver as cuda

from . import gpu, models, ptx

_launch = cuda.cuLaunchKernel
_SUCCESS = cuda.CUresult.CUDA_SUCCESS


@dataclasses.dataclass(frozen=True, slots=True)
class Inference:
    """What one request gets back: the model's output and its time on the GPU in seconds."""

    output: bytes
    gpu_seconds: float


class _Slot:
    """All that one request in flight needs, made once: nothing is allocated while serving."""

    def __init__(self, model: models.Model, device: gpu.Gpu, functions: list[Any]) -> None:
        self.input = gpu.PinnedBuffer(model.input_bytes)
        self.output = gpu.PinnedBuffer(model.output_bytes)
        self.interval = gpu.Interval()
        activations_bytes = max(model.input_bytes, model.output_bytes)
        self.activations = device.allocate(activations_bytes, "a request's input and output")
        self._parameter = ctypes.c_uint64(self.activations)
        self._parameters = (ctypes.c_void_p * 1)(ctypes.addressof(self._parameter))
        self.launches = [
            arguments
            for kernel, function in zip(model.kernels, functions, strict=True)
            for arguments in [self._launch_arguments(kernel, function, device)] * kernel.count
        ]

    def _launch_arguments(
        self, kernel: models.Kernel, function: object, device: gpu.Gpu
    ) -> tuple[object, ...]:
        grid, block = (kernel.sm_demand, 1, 1), (ptx.BLOCK_THREADS, 1, 1)
        parameters = ctypes.addressof(self._parameters)
        return (function, *grid, *block, 0, device.stream, parameters, 0)


class Engine:
    """One model on one GPU; `infer` may be called from any number of threads.

    `weights` are held until `close`, whatever they are: no kernel of a table reads them.
    """

    def __init__(
        self, model: models.Model, device: gpu.Gpu, weights: object, in_flight: int = 2
    ) -> None:
        """Load the model; raises gpu.GpuError where the GPU refuses, as when memory runs out."""
        self.model = model
        self._device = device
        self._weights: object | None = weights
        self._workspace = device.allocate(model.workspace_mib * models.MIB, "workspace")
        names = [ptx.entry_name(model, kernel) for kernel in model.kernels]
        functions = device.functions(ptx.generate(model), names)
        self._launcher = futures.ThreadPoolExecutor(
            1, thread_name_prefix="launcher", initializer=device.use_on_this_thread
        )
        self._thread = threading.local()
        self._slots: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for _ in range(in_flight):
            self._slots.put(_Slot(model, device, functions))

    def infer(self, content: bytes = b"") -> Inference:
        """Run one inference on `content`; ValueError where it is longer than the model's input."""
        self._attach()
        slot = self._slots.get()
        try:
            slot.input.write(content)
            self._launcher.submit(self._enqueue, slot).result()
            return Inference(gpu_seconds=slot.interval.wait(), output=slot.output.read())
        finally:
            self._slots.put(slot)

    def close(self) -> None:
        """End the launching thread after what was submitted to it, and give the weights back."""
        self._launcher.shutdown()
        self._weights = None

    def _attach(self) -> None:
        """Make the context current, once a thread."""
        if not getattr(self._thread, "attached", False):
            self._device.use_on_this_thread()
            self._thread.attached = True

    def _enqueue(self, slot: _Slot) -> None:
        """Put one request on the stream: everything that the GPU does for it, in order."""
        stream = self._device.stream
        slot.interval.open(stream)
        gpu.call(
            cuda.cuMemcpyHtoDAsync,
            slot.activations,
            slot.input.address,
            self.model.input_bytes,
            stream,
        )
        for arguments in slot.launches:
            (result,) = _launch(*arguments)
            if result is not _SUCCESS and result != _SUCCESS:
                raise gpu.GpuError("cuLaunchKernel", cuda.CUresult(result).name)
        gpu.call(
            cuda.cuMemcpyDtoHAsync,
            slot.output.address,
            slot.activations,
            self.model.output_bytes,
            stream,
        )
        slot.interval.close(stream)
