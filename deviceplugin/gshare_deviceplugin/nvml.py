"""The edge to NVML: which GPUs there are, whether they answer, what faults the driver reports."""

import ctypes
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pynvml

from gshare import names
from gshare.annotations import NodeGpu
from gshare.errors import GshareError
from gshare.runtime.nvml import compute_capability, max_clients, sm_count
from gshare_simgpu import SimulatedNode

from .health import Look

EXCLUSIVE_PROCESS: Final = pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS
DEFAULT_MODE: Final = pynvml.NVML_COMPUTEMODE_DEFAULT
_LIBRARY: Final = "libnvidia-ml.so.1"
_POLL_S: Final = 0.1


class NvmlError(GshareError):
    """NVML does not answer."""


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU as NVML tells it."""

    gpu: NodeGpu
    index: int
    minor: int
    """The N of /dev/nvidiaN."""
    handle: Any


@dataclass(frozen=True, slots=True)
class Fault:
    """An XID that the driver reported."""

    uuid: str
    xid: int


class Session:
    """NVML from its initialisation to its shutdown, for one thread."""

    def __init__(self, *, simulated: bool = False) -> None:
        """Open NVML and find the GPUs; NvmlError where there is no driver or it does not answer."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlError(f"NVML: {error}") from error
        self._simulated = simulated
        self._events: Any = None
        try:
            self.devices = tuple(self._found())
            self._events = self._registered()
        except pynvml.NVMLError as error:
            self.close()
            raise NvmlError(f"NVML: {error}") from error

    def close(self) -> None:
        """Let go of NVML."""
        try:
            if self._events is not None:
                pynvml.nvmlEventSetFree(self._events)
            pynvml.nvmlShutdown()
        except pynvml.NVMLError:  # the driver is gone: nothing is held any more
            self._events = None

    def look(self, device: Device) -> Look:
        """Ask a GPU for something that only the hardware can answer."""
        try:
            pynvml.nvmlDeviceGetMemoryInfo(device.handle)
            return Look(must_reset=_must_reset(device.handle), unusable=_unusable(device.handle))
        except pynvml.NVMLError as error:
            return Look(problem=str(error))

    def next_fault(self, timeout_s: float) -> Fault | None:
        """Wait for a fault; None where none came in time, or where the driver tells of none."""
        if self._events is None:
            time.sleep(min(timeout_s, _POLL_S))
            return None
        try:
            event = pynvml.nvmlEventSetWait_v2(self._events, int(timeout_s * 1000))
            return Fault(pynvml.nvmlDeviceGetUUID(event.device), int(event.eventData))
        except pynvml.NVMLError_Timeout:
            return None
        except pynvml.NVMLError as error:
            raise NvmlError(f"NVML: {error}") from error

    def _found(self) -> Iterator[Device]:
        """Yield the GPUs that answer: of one that is lost not even the name can be asked."""
        cuda_version = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                yield self._device(index, cuda_version)
            except pynvml.NVMLError:
                continue

    def _device(self, index: int, cuda_version: int) -> Device:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        gpu = NodeGpu(
            uuid=pynvml.nvmlDeviceGetUUID(handle),
            model=pynvml.nvmlDeviceGetName(handle),
            sm_count=sm_count(handle),
            memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            max_clients=max_clients(compute_capability(handle), cuda_version),
            is_simulated=self._simulated,
        )
        return Device(gpu, index, pynvml.nvmlDeviceGetMinorNumber(handle), handle)

    def _registered(self) -> Any:  # noqa: ANN401 (NVML's handle)
        """Return an event set for the faults of all GPUs that tell of some; None if none does."""
        events, count = pynvml.nvmlEventSetCreate(), 0
        for device in self.devices:
            try:
                pynvml.nvmlDeviceRegisterEvents(
                    device.handle, pynvml.nvmlEventTypeXidCriticalError, events
                )
                count += 1
            except pynvml.NVMLError:  # not supported: whether it answers must do
                continue
        if count:
            return events
        pynvml.nvmlEventSetFree(events)
        return None


def use_simulated(node: SimulatedNode) -> None:
    """Have this process's NVML be the simulated one, for the GPUs of `node`.

    The loader finds a library that is loaded already by its name, whatever its path.
    """
    os.environ[names.ENV_SIMGPU_DIR] = str(node.directory)
    try:
        ctypes.CDLL(str(node.driver / _LIBRARY), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise NvmlError(f"{node.driver / _LIBRARY}: {error}: run `make native` first") from error


def set_compute_mode(uuid: str, mode: int) -> None:
    """Set who may use a GPU, by UUID; NvmlError where it cannot be set."""
    try:
        pynvml.nvmlInit()
        try:
            pynvml.nvmlDeviceSetComputeMode(pynvml.nvmlDeviceGetHandleByUUID(uuid), mode)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        raise NvmlError(f"compute mode of {uuid}: {error}") from error


def _must_reset(handle: Any) -> bool | None:  # noqa: ANN401
    """Tell whether the driver asks for a reset or more; None where it is too old to tell."""
    try:
        (field,) = pynvml.nvmlDeviceGetFieldValues(
            handle, [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION]
        )
    except pynvml.NVMLError:
        return None
    if field.nvmlReturn != pynvml.NVML_SUCCESS:
        return None
    return bool(field.value.uiVal != pynvml.NVML_GPU_RECOVERY_ACTION_NONE)


def _unusable(handle: Any) -> str:  # noqa: ANN401
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:  # it has no MIG
        return ""
    return "MIG is on, which has rectangles of its own: turn it off" if current else ""
