"""The driver's manners: visibility, limits that clients see, look-up of calls, honesty."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.simgpu_node import command, environment, run, running, simulated_node

LOOK_UP = """
import ctypes, json
library = ctypes.CDLL("libcuda.so.1")
def look(name, version, flags=0):
    found, status = ctypes.c_void_p(), ctypes.c_int(-1)
    result = library.cuGetProcAddress_v2(
        name.encode(), ctypes.byref(found), version, ctypes.c_uint64(flags), ctypes.byref(status))
    names = ("cuMemAlloc_v2", "cuCtxCreate_v2", "cuCtxCreate_v3", "cuLaunchKernel",
             "cuLaunchKernel_ptsz", "cuMemcpyHtoD_v2_ptds", "cuMemGetInfo_v2")
    symbol = [n for n in names if ctypes.cast(library[n], ctypes.c_void_p).value == found.value]
    return [result, status.value, *symbol]
"""


def count_and_sms(**variables: str) -> tuple[int, int]:
    code = """
ok(cuda.cuInit(0)); attribute = cuda.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
print([ok(cuda.cuDeviceGetCount()), ok(cuda.cuDeviceGetAttribute(attribute, 0))])
"""
    with simulated_node(count=2) as node:
        count, sms = json.loads(run(node, code, **variables))
        return count, sms


@pytest.mark.parametrize(
    ("percent", "sms"), [("6", 4), ("12", 9), ("24", 19), ("1", 1), ("100", 80), ("nonsense", 80)]
)
def test_the_sm_count_is_what_the_percentage_leaves(percent: str, sms: int) -> None:
    assert count_and_sms(CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=percent) == (2, sms)


def test_visible_devices_are_chosen_by_uuid_and_index_in_order() -> None:
    code = """
context(); import uuid
print([str(uuid.UUID(bytes=ok(cuda.cuDeviceGetUuid(i)).bytes))
       for i in range(ok(cuda.cuDeviceGetCount()))])
"""
    with simulated_node(count=3) as node:
        uuids = [gpu.uuid.removeprefix("GPU-") for gpu in node.gpus]
        seen = run(node, code, CUDA_VISIBLE_DEVICES=f"{node.gpus[2].uuid},0,7,1")

    assert seen == str([uuids[2], uuids[0]])


def test_nothing_is_simulated_unless_asked_for() -> None:
    with simulated_node() as node:
        variables = environment(node, {})
        del variables["GSHARE_SIMGPU_DIR"]
        done = subprocess.run(
            command("print(cuda.cuInit(0)[0].name)"),
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )

    assert (done.stdout.strip(), done.stderr) == ("CUDA_ERROR_NO_DEVICE", "")


def test_a_process_is_told_once_that_the_gpu_is_simulated() -> None:
    with simulated_node(time_scale=4) as node:
        done = subprocess.run(
            command("context(); ok(cuda.cuInit(0)); print('out')"),
            env=environment(node, {}),
            capture_output=True,
            text=True,
            check=True,
        )

    assert done.stdout == "out\n"
    assert done.stderr.startswith("gshare: simulated GPU (1 x Tesla V100-SXM2-16GB, time scale 4")
    assert done.stderr.count("\n") == 1


def test_calls_are_found_by_name_version_and_flags() -> None:
    wanted = {
        "look('cuMemAlloc', 3020)": [0, 0, "cuMemAlloc_v2"],
        "look('cuMemAlloc', 2000)": [500, 2],
        "look('cuCtxCreate', 11030)": [0, 0, "cuCtxCreate_v2"],
        "look('cuCtxCreate', 12040)": [0, 0, "cuCtxCreate_v3"],
        "look('cuLaunchKernel', 12000)": [0, 0, "cuLaunchKernel"],
        "look('cuLaunchKernel', 12000, 2)": [0, 0, "cuLaunchKernel_ptsz"],
        "look('cuMemcpyHtoD', 12000, 2)": [0, 0, "cuMemcpyHtoD_v2_ptds"],
        "look('cuMemGetInfo', 12000, 2)": [0, 0, "cuMemGetInfo_v2"],
        "look('cuNoSuchCall', 12000)": [500, 1],
    }
    with simulated_node() as node:
        found = json.loads(run(node, f"{LOOK_UP}\nprint(json.dumps([{','.join(wanted)}]))"))

    assert dict(zip(wanted, found, strict=True)) == wanted


def test_a_host_function_runs_in_its_place_in_the_stream() -> None:
    code = """
import ctypes
context(); called = []; begun = time.monotonic()
note = lambda _: called.append(time.monotonic() - begun)
callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(note)
launch(kernel(80, 50_000)); start = event()
ok(cuda.cuLaunchHostFunc(0, cuda.CUhostFn(ctypes.cast(callback, ctypes.c_void_p).value), 0))
launch(kernel(80, 1000)); end = event(); ok(cuda.cuEventSynchronize(end))
print([len(called) == 1, called[0] > 0.05, ok(cuda.cuEventElapsedTime(start, end)) >= 1])
"""
    with simulated_node() as node:
        assert run(node, code) == "[True, True, True]"


def test_per_thread_default_streams_are_separate() -> None:
    code = """
import ctypes
context(); library = ctypes.CDLL("libcuda.so.1"); work = int(kernel(8, 50_000))
def go():
    context()
    library.cuLaunchKernel_ptsz(ctypes.c_void_p(work), 1, 1, 1, 1, 1, 1, 0, None, None, None)
    library.cuStreamSynchronize_ptsz(None)
begun = time.monotonic(); threads = [threading.Thread(target=go) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(time.monotonic() - begun < 0.19)
"""
    with simulated_node() as node:
        assert run(node, code) == "True"


def test_bad_use_has_the_drivers_own_errors() -> None:
    code = """
print([answer[0].value for answer in (
    cuda.cuMemAlloc(100), cuda.cuInit(1), (ok(cuda.cuInit(0)), cuda.cuMemAlloc(100))[1],
    cuda.cuDeviceGet(5), (context(), cuda.cuModuleLoadData(b"nonsense\\0"))[1],
    cuda.cuMemFree(12345), cuda.cuMemcpyHtoD(12345, np.zeros(4), 4),
    cuda.cuModuleGetFunction(ok(cuda.cuModuleLoadData(b".version 7.0\\0")), b"none"),
    cuda.cuLaunchKernel(kernel(1, 1), 1, 1, 1, 2048, 1, 1, 0, 0, 0, 0))])
"""
    with simulated_node() as node:
        assert run(node, code) == "[3, 1, 201, 101, 200, 1, 1, 500, 1]"


def test_the_launches_of_old_take_their_shape_from_the_function() -> None:
    code = """
context(); work = kernel(); launch(kernel(1, 5000)); start = event()
ok(cuda.cuFuncSetBlockShape(work, 1024, 1, 1)); ok(cuda.cuLaunchGrid(work, 80, 2 * 50))
end = event(); ok(cuda.cuEventSynchronize(end)); print(ok(cuda.cuEventElapsedTime(start, end)))
"""
    with simulated_node() as node:
        assert float(run(node, code)) == pytest.approx(50 * 0.010)


def test_a_cooperative_launch_must_fit_under_the_cap() -> None:
    code = """
context(); work = kernel(8, 10)
print([cuda.cuLaunchCooperativeKernel(work, blocks, 1, 1, 1024, 1, 1, 0, 0, 0)[0].value
       for blocks in (40, 41)])
"""
    with simulated_node() as node:
        assert run(node, code, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="25") == "[0, 720]"


def test_shared_memory_bounds_how_many_blocks_fit_at_once() -> None:
    """96 KiB an SM: of 40 KiB blocks two fit, on the 20 SMs under the cap."""
    code = """
context(); work = kernel(8, 10); kib = 1024
print([cuda.cuLaunchCooperativeKernel(work, blocks, 1, 1, 32, 1, 1, shared, 0, 0)[0].value
       for blocks, shared in ((40, 40 * kib), (41, 40 * kib), (41, 30 * kib), (1, 200 * kib))])
"""
    with simulated_node() as node:
        assert run(node, code, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="25") == "[0, 720, 0, 1]"


def test_two_gpus_run_apart() -> None:
    code = "context(1); launch(kernel(80, 1000), 500); ready()"
    with simulated_node(count=2) as node, running(node, code):
        first, second = (node.counters(gpu.uuid) for gpu in node.gpus)

    assert (first.memory_used_bytes, second.memory_used_bytes) == (0, 300 << 20)


def test_handles_outlive_their_context_harmlessly() -> None:
    code = """
context(); stream = ok(cuda.cuStreamCreate(0)); mark = event(); launch(kernel(1, 1), 1, stream)
ok(cuda.cuDevicePrimaryCtxReset(0))
late = [cuda.cuStreamSynchronize(stream), cuda.cuEventQuery(mark), cuda.cuMemAlloc(100)]
ok(cuda.cuEventDestroy(mark)); ok(cuda.cuStreamDestroy(stream))
context(); print([answer[0].value for answer in late], elapsed_ms(kernel(80, 1000), 5))
"""
    with simulated_node() as node:
        assert run(node, code) == "[709, 709, 201] 5.0"


def test_one_process_may_hold_contexts_of_different_size() -> None:
    code = """
ok(cuda.cuInit(0)); affinity = cuda.CUexecAffinityParam(); affinity.param.smCount.val = 20
small = ok(cuda.cuCtxCreate_v3([affinity], 1, 0, 0)); print(elapsed_ms(kernel(80, 1000), 5))
ok(cuda.cuCtxDestroy(small)); context(); print(elapsed_ms(kernel(80, 1000), 5))
"""
    with simulated_node() as node:
        assert run(node, code).split() == ["20.0", "5.0"]


def test_a_preloaded_library_sees_only_the_calls_of_the_program(tmp_path: Path) -> None:
    """A hook must not see the driver call itself, nor be handed out by the driver's own look-up."""
    source, library = tmp_path / "preload.c", tmp_path / "preload.so"
    source.write_text(
        "int cuMemAlloc_v2(void *a, unsigned long b) { (void)a, (void)b; return 999; }"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    code = """
import ctypes
context(); library = ctypes.CDLL("libcuda.so.1"); pointer = ctypes.c_uint64()
direct = ctypes.CDLL(None).cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(100))
print([direct, cuda.cuMemAllocManaged(100, 1)[0].value, cuda.cuMemAlloc(100)[0].value])
"""
    with simulated_node() as node:
        assert run(node, code, LD_PRELOAD=str(library)) == "[999, 0, 0]"
