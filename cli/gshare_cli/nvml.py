"""The real GPUs of this machine, as NVML tells them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pynvml

from gshare.errors import GshareError
from gshare.runtime.nvml import sm_count

from .views import GpuView

_PIPE_DIRECTORY: Final = "CUDA_MPS_PIPE_DIRECTORY"
_DEFAULT_PIPE_DIRECTORY: Final = "/tmp/nvidia-mps"  # noqa: S108 (the driver's own default)


class NvmlGpus:
    """GPUs that a real driver has; their time is metered by the token daemon alone."""

    is_simulated: Final = False

    def __init__(self, gpus: tuple[GpuView, ...]) -> None:
        self.gpus = gpus

    @classmethod
    def find(cls) -> "NvmlGpus | None":
        """Return the GPUs of the real driver; None without a driver or without a GPU."""
        try:
            pynvml.nvmlInit()
            gpus = tuple(_view(index) for index in range(pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError:
            return None
        return cls(gpus) if gpus else None

    def first(self, count: int) -> "NvmlGpus":
        """Return the first `count` of the GPUs."""
        return NvmlGpus(self.gpus[:count])

    def require_mps(self, environment: Mapping[str, str]) -> None:
        """Raise GshareError unless the MPS control daemon runs: without it no SM share holds."""
        folder = Path(environment.get(_PIPE_DIRECTORY, _DEFAULT_PIPE_DIRECTORY))
        if not (folder / "control").exists():
            raise GshareError(
                f"MPS is not running ({folder} has no control pipe): start it with "
                "`nvidia-cuda-mps-control -d`, or use --simulated"
            )

    def environment(self, lease_id: str) -> dict[str, str]:
        """Return nothing: the driver is where programs look for it."""
        del lease_id
        return {}

    def read(self, uuid: str) -> None:
        """Return nothing: NVML has no growing counters, so the token daemon's are used."""
        del uuid


def _view(index: int) -> GpuView:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    return GpuView(
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(device),
        name=pynvml.nvmlDeviceGetName(device),
        sm_count=sm_count(device),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(device).total),
    )
