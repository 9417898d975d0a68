"""What a real GPU needs before anything is started on it."""

from pathlib import Path

import pytest

from gshare.errors import GshareError
from gshare_cli.nvml import NvmlGpus


def test_without_the_mps_daemon_a_real_gpu_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(GshareError, match="nvidia-cuda-mps-control -d"):
        NvmlGpus(()).require_mps({"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)})


def test_with_the_mps_daemon_a_real_gpu_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "control").touch()

    NvmlGpus(()).require_mps({"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)})
