"""Unmodified CUDA clients under hook, daemon and simulated GPU: each call is counted once."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import programs, simgpu_node
from tests.support.daemon import eventually
from tests.support.hooked import HookedGpu, hooked_gpu

_PAGE_BYTES = 2 << 20
WAITS = '\nok(cuda.cuCtxSynchronize()); print("ready", flush=True); sys.stdin.read()\n'
BINDINGS = """
context(); work = kernel(8, 100); stream = ok(cuda.cuStreamCreate(1))
memory = ok(cuda.cuMemAlloc(1 << 20)); values = np.full(1 << 20, 5, np.uint8)
"""
CALLS = {
    "launches": ("launch(work, 100, stream)", 100),
    "launches by the extensible call": (
        """
config = cuda.CUlaunchConfig(); config.hStream = stream
for axis in "XYZ":
    setattr(config, f"gridDim{axis}", 1); setattr(config, f"blockDim{axis}", 1)
[ok(cuda.cuLaunchKernelEx(config, work, 0, 0)) for _ in range(100)]
""",
        100,
    ),
    "cooperative launches": (
        """
[ok(cuda.cuLaunchCooperativeKernel(work, 1, 1, 1, 1, 1, 1, 0, stream, 0)) for _ in range(50)]
""",
        50,
    ),
    "copies and memsets": (
        """
for _ in range(5):
    ok(cuda.cuMemcpyHtoD(memory, values, 1 << 20)); ok(cuda.cuMemcpyDtoH(values, memory, 1 << 20))
    ok(cuda.cuMemcpyHtoDAsync(memory, values, 1 << 20, stream))
    ok(cuda.cuMemcpyDtoD(memory, int(memory) + 4096, 4096)); ok(cuda.cuMemsetD8(memory, 1, 4096))
    ok(cuda.cuMemsetD32Async(memory, 1, 512, stream))
""",
        30,
    ),
    "graphs, their upload and what is captured": (
        """
ok(cuda.cuStreamBeginCapture(stream, cuda.CUstreamCaptureMode(0)))
launch(work, 7, stream); ok(cuda.cuMemsetD8Async(memory, 1, 64, stream))
executable = ok(cuda.cuGraphInstantiate(ok(cuda.cuStreamEndCapture(stream)), 0))
[ok(cuda.cuGraphLaunch(executable, stream)) for _ in range(20)]
""",
        20,
    ),
    "many streams": (
        """
streams = [ok(cuda.cuStreamCreate(1)) for _ in range(12)]
for _ in range(10):
    [launch(work, 1, each) for each in streams]
""",
        120,
    ),
    "many threads": (
        """
state = ok(cuda.cuCtxGetCurrent())
def launches():
    ok(cuda.cuCtxSetCurrent(state)); mine = ok(cuda.cuStreamCreate(1))
    launch(work, 40, mine); ok(cuda.cuStreamSynchronize(mine))
threads = [threading.Thread(target=launches) for _ in range(6)]
[each.start() for each in threads]; [each.join() for each in threads]
""",
        240,
    ),
    "threads' own default streams": (
        """
state = ok(cuda.cuCtxGetCurrent())
def launches():
    ok(cuda.cuCtxSetCurrent(state)); launch(work, 40, 2); ok(cuda.cuStreamSynchronize(2))
threads = [threading.Thread(target=launches) for _ in range(4)]
[each.start() for each in threads]; [each.join() for each in threads]
""",
        160,
    ),
}
NVRTC = """
from cuda.core import Device, LaunchConfig, Program, ProgramOptions, launch as start
device = Device(); device.set_current(); stream = device.create_stream()
source = 'extern "C" __global__ void work(float *values, int count) {{ values[0] = count; }}'
kernel = Program(source, "c++", ProgramOptions(arch="sm_70")).compile("{form}").get_kernel("work")
memory = device.allocate(64, stream=stream)
for _ in range(101):
    start(stream, LaunchConfig(grid=4, block=32), kernel, memory, 3)
stream.sync()
"""
NUMBA = """
from numba import cuda as numba_cuda
@numba_cuda.jit
def work(values):
    values[numba_cuda.grid(1)] = 1
values = numba_cuda.to_device(np.arange(8))
for _ in range(21):
    work[4, 128](values)
numba_cuda.synchronize(); assert values.copy_to_host().tolist() == list(range(8))
"""
FOREIGN: dict[str, tuple[Callable[[], Path], int]] = {
    "Go without cgo": (lambda: programs.go("go_pure", cgo=False), 4 * (50 + 2)),
    "Go with cgo": (lambda: programs.go("go_cgo", cgo=True), 4 * 50),
    "Rust": (lambda: programs.rust("rust_client"), 4 * 50),
}
STRANGERS: dict[str, Callable[[], Path]] = {
    "musl": lambda: programs.c("plain", compiler="musl-gcc"),
    "static musl": lambda: programs.c("plain", "-static", compiler="musl-gcc"),
    "static": lambda: programs.c("plain", "-static"),
    "no CUDA": lambda: programs.c("plain"),
}


def seen(gpu: HookedGpu, lease_id: str) -> tuple[int, int]:
    """Return how many calls of a lease the hook has let pass, and how many the driver has seen."""
    passed = sum(slot.launches for slot in gpu.counters(lease_id).slots)
    return passed, simgpu_node.counters(gpu.gpu).account(lease_id).calls


def agrees(gpu: HookedGpu) -> bool:
    """Tell whether the account agrees with the driver, but for the page that small pieces share."""
    return 0 <= gpu.taken() - gpu.accounted("a") <= _PAGE_BYTES


@contextmanager
def python(gpu: HookedGpu, lease_id: str, code: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python client, which is yielded when it is through with its work."""
    with gpu.running(lease_id, code + WAITS) as process:
        yield process


def end(process: subprocess.Popen[str]) -> int:
    """Have a client leave by itself; return its exit code."""
    process.communicate()
    return process.returncode


@pytest.mark.parametrize(("code", "calls"), CALLS.values(), ids=CALLS.keys())
def test_every_call_of_cuda_bindings_is_counted_once(code: str, calls: int) -> None:
    with (
        hooked_gpu("a") as gpu,
        python(gpu, "a", BINDINGS + code),
    ):
        assert eventually(lambda: seen(gpu, "a") == (calls, calls)), seen(gpu, "a")
        assert agrees(gpu)


@pytest.mark.parametrize("form", ["ptx", "cubin"])
def test_every_launch_of_cuda_core_is_counted_once(form: str) -> None:
    pytest.importorskip("cuda.core")
    _needs("nvrtc", "from cuda.bindings import nvrtc; nvrtc.nvrtcVersion()")
    with hooked_gpu("a") as gpu, python(gpu, "a", NVRTC.format(form=form)) as process:
        assert eventually(lambda: seen(gpu, "a") == (101, 101)), seen(gpu, "a")
        assert agrees(gpu)
        assert end(process) == 0


def test_every_launch_and_copy_of_numba_is_counted_once() -> None:
    _needs("NVVM", "__import__('numba.cuda').cuda.cudadrv.nvvm.LibDevice()")
    with hooked_gpu("a") as gpu, python(gpu, "a", NUMBA) as process:
        assert eventually(lambda: seen(gpu, "a") == (23, 23)), seen(gpu, "a")
        assert agrees(gpu)
        assert end(process) == 0


@pytest.mark.parametrize(("built", "calls"), FOREIGN.values(), ids=FOREIGN.keys())
def test_every_call_of_another_language_is_counted_once(
    built: Callable[[], Path], calls: int
) -> None:
    program = built()
    with hooked_gpu("a") as gpu, gpu.started("a", [program]) as process:
        assert eventually(lambda: seen(gpu, "a") == (calls, calls)), seen(gpu, "a")
        assert agrees(gpu)
        assert end(process) == 0

        assert eventually(lambda: gpu.node.control.stats().lease("a").processes == 0)
        assert gpu.taken() == 0


@pytest.mark.parametrize("built", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_program_that_uses_no_gpu_takes_no_slot(built: Callable[[], Path]) -> None:
    program = built()
    with hooked_gpu("a") as gpu, gpu.started("a", [program]) as process:
        assert gpu.counters("a").slots == ()
        assert end(process) == 0


def _needs(what: str, expression: str) -> None:
    with simgpu_node.simulated_node() as node:
        code = f"""
try:
    {expression}
    print("there")
except Exception as error:
    print("missing", error)
"""
        if "missing" in simgpu_node.run(node, code):
            pytest.skip(f"{what} is not installed")
