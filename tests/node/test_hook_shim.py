"""The hook by a shim instead of a preload: nothing of the image need cooperate."""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import programs, simgpu_node
from tests.support.daemon import eventually, native
from tests.support.hooked import CONTEXT_BYTES, GIB, MIB, HookedGpu, hooked_gpu

from gshare import names
from gshare.runtime import shim

LAUNCHES = 50

MEMORY = {
    "cuda-bindings": "ok(cuda.cuMemAlloc(20 << 20))",
    "dlopen and dlsym": """
import ctypes; driver = ctypes.CDLL("libcuda.so"); place = ctypes.c_uint64()
assert driver.cuMemAlloc_v2(ctypes.byref(place), ctypes.c_size_t(20 << 20)) == 0
""",
}
BINDINGS = f"context(); launch(kernel(10, 50), {LAUNCHES}); ok(cuda.cuCtxSynchronize()); ready()"
LINKED = """
import ctypes, os; linked = ctypes.CDLL("{library}", mode=os.RTLD_DEEPBIND | os.RTLD_LOCAL)
assert linked.odd_work({count}) == 0; print("ready", flush=True); import sys; sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Shimmed:
    """A GPU whose driver has a shim before it."""

    gpu: HookedGpu
    folder: Path

    def variables(self) -> dict[str, str]:
        """Return what makes a program part of the lease: it is not even told of the hook."""
        given = self.gpu.variables("a")
        behind = self.gpu.gpu.environment()["LD_LIBRARY_PATH"]
        return {**given, "LD_LIBRARY_PATH": f"{self.folder}:{behind}", "LD_PRELOAD": ""}

    def run(self, code: str) -> str:
        return simgpu_node.run(self.gpu.gpu, code, **self.variables())

    @contextmanager
    def running(self, command: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
        """Start a program, which is yielded when it is through with its work."""
        with simgpu_node.started(self.gpu.gpu, command, **self.variables()) as process:
            yield process

    def seen(self) -> tuple[int, int]:
        """Return how many calls the hook has let pass, and how many the driver has seen."""
        passed = sum(slot.launches for slot in self.gpu.counters("a").slots)
        return passed, simgpu_node.counters(self.gpu.gpu).account("a").calls


@pytest.fixture
def shimmed(tmp_path: Path) -> Iterator[Shimmed]:
    folder = shim.folder_before(tmp_path, native().simgpu.resolve(), native().hook.resolve())
    with hooked_gpu("a") as gpu:
        yield Shimmed(gpu, folder)


WAYS = {
    "cuda-bindings": lambda _: simgpu_node.command(BINDINGS),
    "a namespace of the loader": lambda _: [programs.c("odd", "-ldl"), "dlmopen", str(LAUNCHES)],
    "a handle that binds deeply": lambda _: [programs.c("odd", "-ldl"), "deepbind", str(LAUNCHES)],
    "a walk through the symbols": lambda _: [programs.c("odd", "-ldl"), "walk", str(LAUNCHES)],
    "a handle that was closed": lambda _: [programs.c("odd", "-ldl"), "reopen", str(LAUNCHES)],
    "a linked library that binds deeply": lambda folder: _linked(folder / "libodd.so"),
}


def _linked(library: Path) -> list[str]:
    sources = [programs.SOURCES / "odd.c", native().simgpu / "libcuda.so.1"]
    subprocess.run(["cc", "-DLINKED", "-shared", "-fPIC", *sources, "-o", library], check=True)
    return simgpu_node.command(LINKED.format(library=library, count=LAUNCHES))


@pytest.mark.parametrize("command", WAYS.values(), ids=WAYS.keys())
def test_launches_that_the_hook_sees_are_those_of_the_driver(
    shimmed: Shimmed, command: Callable[[Path], list[str | Path]], tmp_path: Path
) -> None:
    with shimmed.running(command(tmp_path)):
        assert eventually(lambda: shimmed.seen() == (LAUNCHES, LAUNCHES)), shimmed.seen()


@pytest.mark.parametrize("route", MEMORY.values(), ids=MEMORY.keys())
def test_memory_is_counted_by_every_route(shimmed: Shimmed, route: str) -> None:
    with shimmed.running(simgpu_node.command(f"context(); {route}\nready()")):
        assert shimmed.gpu.accounted("a") == CONTEXT_BYTES + 20 * MIB


def test_nvml_shows_the_cap_without_a_preload(shimmed: Shimmed) -> None:
    code = """
import ctypes
nvml = ctypes.CDLL("libnvidia-ml.so.1"); device = ctypes.c_void_p()
memory = (ctypes.c_ulonglong * 3)()
assert nvml.nvmlInit_v2() == 0
assert nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
assert nvml.nvmlDeviceGetMemoryInfo(device, memory) == 0
print(memory[0])
"""

    assert int(shimmed.run(code)) == 4 * GIB


def test_a_program_may_load_the_hook_and_the_shim(shimmed: Shimmed) -> None:
    variables = {**shimmed.variables(), "LD_PRELOAD": str(native().hook)}

    with simgpu_node.running(shimmed.gpu.gpu, BINDINGS, **variables):
        assert eventually(lambda: shimmed.seen() == (LAUNCHES, LAUNCHES)), shimmed.seen()


def test_names_that_the_hook_does_not_know_are_the_drivers(shimmed: Shimmed) -> None:
    code = """
import ctypes, json; driver = ctypes.CDLL("libcuda.so.1"); version = ctypes.c_int()
context(); work = kernel(10, 100); launch(work, 20); ok(cuda.cuCtxSynchronize())
assert driver.cuDriverGetVersion(ctypes.byref(version)) == 0
print(json.dumps([version.value, hasattr(driver, "cuNoSuchCall")]))
"""

    version, knows_nonsense = json.loads(shimmed.run(code))

    assert version > 12000
    assert not knows_nonsense


def _driver(path: Path, source: str) -> Path:
    """Make a driver of a few functions."""
    path.parent.mkdir(exist_ok=True)
    flags = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-x", "c", "-"]
    command = ["cc", *flags, "-o", str(path)]
    subprocess.run(command, input=source, text=True, check=True)
    return path


NEW = "int cuInit(void) { return 0; } int cuBrandNewCall(void) { return 4711; }"
OLD = "int cuInit(void) { return 0; } int cuOldCall(void) { return 0; }"


@pytest.mark.parametrize("made_of", [NEW, OLD], ids=["made of it", "made before it"])
def test_a_function_that_nobody_has_heard_of_is_found(tmp_path: Path, made_of: str) -> None:
    path = _driver(tmp_path / "driver" / "libcuda.so.1", made_of)
    shim.write(tmp_path / "libcuda.so.1", native().hook, path)
    _driver(path, NEW)

    done = subprocess.run(
        [programs.c("odd", "-ldl"), "new", "3"],
        env={"LD_LIBRARY_PATH": str(tmp_path), names.ENV_LEASE_DIR: ""},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr
    complaint = f"gshare: shim of {path}: made for another driver, this one lacks cuOldCall\n"
    assert done.stderr == (complaint if made_of == OLD else "")


def test_programs_can_be_linked_with_a_shim(tmp_path: Path, shimmed: Shimmed) -> None:
    source = (
        "int cuDriverGetVersion(int *); int main(void) { int v; return cuDriverGetVersion(&v); }"
    )
    program = tmp_path / "program"
    command = ["cc", "-x", "c", "-", "-o", str(program), f"-L{shimmed.folder}", "-lcuda"]

    subprocess.run(command, input=source, text=True, check=True)

    variables = {**shimmed.gpu.gpu.environment(), **shimmed.variables()}
    assert subprocess.run([program], env=variables, check=False).returncode == 0
