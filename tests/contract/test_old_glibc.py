"""What containers load needs no newer glibc than the images have that people run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gshare.runtime.native import Native

OLDEST = (2, 27)  # Ubuntu 18.04; CUDA images begin with it


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed")
@pytest.mark.parametrize(
    "name", ["lib/libgshare_hook.so", "simgpu/libcuda.so.1", "simgpu/libnvidia-ml.so.1"]
)
def test_a_library_that_containers_load_loads_under_an_old_glibc(name: str) -> None:
    """A newer version is named by a symbol that `old_glibc.h` should list."""
    table = _imports(Native.locate().root / name)

    newer = [line for line in table if _version(line) > OLDEST]

    assert newer == []


def _imports(library: Path) -> list[str]:
    done = subprocess.run(
        ["objdump", "-T", str(library)], capture_output=True, text=True, check=True
    )
    return [line for line in done.stdout.splitlines() if "GLIBC_" in line]


def _version(line: str) -> tuple[int, ...]:
    found = re.search(r"GLIBC_([0-9.]+)", line)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
