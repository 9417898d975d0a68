"""The hook by a shim `libcuda.so.1` instead of a preload: nothing of the image need cooperate."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import simgpu_node
from tests.support.daemon import native
from tests.support.hooked import CONTEXT_BYTES, MIB, HookedGpu, hooked_gpu

from gshare import errors, names
from gshare.runtime import shim

ROUTES = {
    "cuda-bindings": "ok(cuda.cuMemAlloc(20 << 20))",
    "dlopen and dlsym": """
import ctypes; driver = ctypes.CDLL("libcuda.so"); place = ctypes.c_uint64()
assert driver.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t(20 << 20)) == 0
""",
    "a linked library that binds deeply": """
import ctypes, os; linked = ctypes.CDLL("liblinked.so", mode=os.RTLD_DEEPBIND | os.RTLD_LOCAL)
assert linked.take(20 << 20) == 0
""",
}
LINKED = """
int cuMemAlloc_v2(unsigned long long *, unsigned long);
int take(unsigned bytes) { unsigned long long place; return cuMemAlloc_v2(&place, bytes); }
"""


@contextmanager
def shimmed(folder: Path) -> Iterator[tuple[HookedGpu, dict[str, str]]]:
    """Yield a GPU, and the environment of a program that finds the shim where its driver was."""
    driver = native().simgpu / "libcuda.so.1"
    shim.write(folder / "libcuda.so.1", native().hook, driver)
    (folder / "libcuda.so").symlink_to("libcuda.so.1")
    with hooked_gpu("a") as gpu:
        beside = gpu.gpu.environment().get("LD_LIBRARY_PATH", "")
        yield (
            gpu,
            {
                names.ENV_LEASE_DIR: str(gpu.node.lease("a")),
                "LD_LIBRARY_PATH": f"{folder}:{beside}",
                "LD_PRELOAD": "",
            },
        )


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
def test_memory_is_counted_by_every_route(route: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    assert compiler
    (tmp_path / "linked.c").write_text(LINKED)
    library = [str(tmp_path / "linked.c"), str(native().simgpu / "libcuda.so.1")]
    output = ["-o", str(tmp_path / "liblinked.so")]
    subprocess.run([compiler, "-shared", "-fPIC", *library, *output], check=True)

    code = f"context(); {route}\nready()"
    with (
        shimmed(tmp_path) as (gpu, variables),
        simgpu_node.running(gpu.gpu, code, **variables),
    ):
        assert gpu.accounted("a") == CONTEXT_BYTES + 20 * MIB


def test_names_that_the_hook_does_not_know_are_the_drivers(tmp_path: Path) -> None:
    code = """
import ctypes, json; driver = ctypes.CDLL("libcuda.so.1"); version = ctypes.c_int()
context(); work = kernel(10, 100); launch(work, 20); ok(cuda.cuCtxSynchronize())
assert driver.cuDriverGetVersion(ctypes.byref(version)) == 0
print(json.dumps([version.value, hasattr(driver, "cuNoSuchCall")]))
"""
    with shimmed(tmp_path) as (gpu, variables):
        version, knows_nonsense = json.loads(simgpu_node.run(gpu.gpu, code, **variables))

    assert version > 12000
    assert not knows_nonsense


def test_what_is_no_driver_gets_no_shim(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a library")

    with pytest.raises(errors.GshareError, match="is no 64-bit little-endian ELF library"):
        shim.write(tmp_path / "libcuda.so.1", native().hook, tmp_path / "text")
