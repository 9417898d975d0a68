"""The GPU of a model store, through the driver's API: a context, and calls that raise.

All calls come from one thread, the server's worker for the GPU. `cuda-bindings` is imported when a
GPU is opened, so that a store without one runs without it.
"""

import uuid
from typing import Any, Final

from gshare.errors import GshareError

OUT_OF_MEMORY: Final = 2
"""CUDA_ERROR_OUT_OF_MEMORY."""


class GpuError(GshareError):
    """The driver refused a call; `code` is its own, None where no driver was reached."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the GPU has no memory left for it."""
        return self.code == OUT_OF_MEMORY


class Gpu:
    """One GPU by its UUID, with its primary context, made when the store first needs it."""

    def __init__(self, gpu_uuid: str) -> None:
        self.uuid = gpu_uuid
        self.driver = _driver()
        self.device = self._find()
        context = self.ok(self.driver.cuDevicePrimaryCtxRetain(self.device))
        self.ok(self.driver.cuCtxSetCurrent(context))

    def ok(self, answer: tuple[Any, ...]) -> Any:  # noqa: ANN401 (the bindings have no types)
        """Return the value of a driver call. Raises GpuError."""
        result, *values = answer
        if int(result):
            raise GpuError(f"GPU {self.uuid}: {result.name}", int(result))
        return values[0] if values else None

    def works(self) -> bool:
        """Tell whether the context still takes calls: some faults end all that ever run in it."""
        return int(self.driver.cuCtxSynchronize()[0]) == 0

    def _find(self) -> Any:  # noqa: ANN401
        count = self.ok(self.driver.cuDeviceGetCount())
        for ordinal in range(count):
            device = self.ok(self.driver.cuDeviceGet(ordinal))
            raw = self.ok(self.driver.cuDeviceGetUuid_v2(device))
            if f"GPU-{uuid.UUID(bytes=bytes(raw.bytes))}" == self.uuid:
                return device
        raise GpuError(f"GPU {self.uuid}: not among the {count} that the driver shows")


def _driver() -> Any:  # noqa: ANN401
    try:
        from cuda.bindings import driver  # noqa: PLC0415 (see the module's docstring)
    except ImportError as error:
        raise GpuError(f"cuda-bindings: {error}; install gshare[modelstore]") from error
    try:
        result = driver.cuInit(0)[0]
    except RuntimeError as error:  # the bindings' own, where there is no driver library
        raise GpuError(f"CUDA driver: {error}") from error
    if int(result):
        raise GpuError(f"CUDA driver: {result.name}", int(result))
    return driver
