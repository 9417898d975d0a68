"""Unmodified clients load the simulated drivers and use them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.simgpu_node import counters, environment, run, running, simulated_node

PTX = """.version 7.0
.target sm_70
.address_size 64
.visible .entry work(.param .u64 values, .param .u32 count) {
    .pragma "gshare.simulated sm_demand=40 duration_us=1000";
    ret;
}
"""


def test_cuda_core_launches_and_times_a_kernel() -> None:
    pytest.importorskip("cuda.core")
    code = f"""
from cuda.core import Device, EventOptions, LaunchConfig, ObjectCode, launch as start
device = Device(); device.set_current(); stream = device.create_stream()
kernel = ObjectCode.from_ptx({PTX.encode()!r}).get_kernel("work")
buffer = device.allocate(1 << 20, stream=stream); timed = EventOptions(timing_enabled=True)
def go(): start(stream, LaunchConfig(grid=1, block=32), kernel, buffer, 3)
go(); first = stream.record(options=timed)
for _ in range(100): go()
last = stream.record(options=timed); stream.sync()
import json; print(json.dumps([kernel.num_arguments, last - first]))
"""
    with simulated_node() as node:
        assert json.loads(run(node, code)) == [2, 100.0]
        assert counters(node).accounts[0].launches == 101


@pytest.mark.parametrize("form", ["ptx", "cubin"])
def test_cuda_core_compiles_with_nvrtc(form: str) -> None:
    code = f"""
from cuda.core import Device, LaunchConfig, Program, ProgramOptions, launch as start
device = Device(); device.set_current(); stream = device.create_stream()
source = 'extern "C" __global__ void work(float *values, int count) {{ values[0] = count; }}'
program = Program(source, "c++", ProgramOptions(arch="sm_70"))
kernel = program.compile({form!r}).get_kernel("work")
start(stream, LaunchConfig(grid=4, block=32), kernel, device.allocate(64, stream=stream), 3)
stream.sync(); print("ok")
"""
    with simulated_node() as node:
        if "missing" in run(
            node, "from cuda.bindings import nvrtc\n" + _probe("nvrtc.nvrtcVersion()")
        ):
            pytest.skip("NVRTC (nvidia-cuda-nvrtc-cu12) is not installed")
        assert run(node, code) == "ok"


def test_numba_copies_and_launches_what_it_compiled() -> None:
    code = """
from numba import cuda as numba_cuda
@numba_cuda.jit
def work(values):
    values[numba_cuda.grid(1)] = 1
values = numba_cuda.to_device(np.arange(8)); work[4, 128](values); numba_cuda.synchronize()
print(values.copy_to_host().tolist())
"""
    with simulated_node() as node:
        if "missing" in run(node, _probe("__import__('numba.cuda').cuda.cudadrv.nvvm.LibDevice()")):
            pytest.skip("numba-cuda wants libcudart and NVVM, which are not installed")
        assert run(node, code) == str(list(range(8)))
        assert counters(node).accounts[0].launches == 1


def _probe(expression: str) -> str:
    return f"""
try:
    {expression}
    print("there")
except Exception as error:
    print("missing", error)
"""


@pytest.mark.parametrize("program", [["gpustat", "-cp"], ["nvitop", "-1"]], ids=lambda p: p[0])
def test_a_monitor_shows_the_process_and_complains_of_nothing(program: list[str]) -> None:
    name, *flags = program
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    with simulated_node() as node, running(node, "context(); ready()") as process:
        done = subprocess.run(
            [str(path), *flags],
            env=environment(node, {"COLUMNS": "100"}),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 0
    assert "V100-SXM2-16GB" in done.stdout
    assert str(process.pid) in done.stdout
    assert "rror" not in done.stderr
