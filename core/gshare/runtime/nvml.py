"""What NVML does not tell outright."""

from typing import Any, Final

import pynvml

_SMALL_SMS: Final = ((6, 0), (7, 0), (7, 2), (7, 5), (8, 0))
_CLIENTS_BEFORE_VOLTA: Final = 16
_CLIENTS: Final = 48
_CLIENTS_FROM_CUDA_13_1: Final = 60
_CUDA_13_1: Final = 13010


def sm_count(device: Any) -> int:  # noqa: ANN401 (NVML's handle)
    """Return the SMs of a device: NVML counts cores, which an SM has 64 or 128 of.

    CUDA C++ Programming Guide, "Arithmetic Instructions", FP32 results per clock and SM.
    """
    cores_of_sm = 64 if compute_capability(device) in _SMALL_SMS else 128
    return int(pynvml.nvmlDeviceGetNumGpuCores(device)) // cores_of_sm


def compute_capability(device: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return a device's compute capability."""
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(device)
    return major, minor


def max_clients(capability: tuple[int, int], cuda_version: int) -> int:
    """Return how many MPS clients a GPU takes, by the driver's CUDA version (12040 is 12.4)."""
    if capability < (7, 0):
        return _CLIENTS_BEFORE_VOLTA
    return _CLIENTS_FROM_CUDA_13_1 if cuda_version >= _CUDA_13_1 else _CLIENTS
