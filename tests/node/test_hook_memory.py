"""The memory account under real clients agrees with the driver, whatever becomes of a client."""

import json
import os
import signal
import subprocess
import time

import pytest
from tests.support import simgpu_node
from tests.support.daemon import eventually, native
from tests.support.hooked import CONTEXT_BYTES, GIB, MIB, HookedGpu, hooked_gpu

from gshare import names

ALLOCATIONS = {
    "plain": "ok(cuda.cuMemAlloc(21 << 20))",
    "odd": "ok(cuda.cuMemAlloc((21 << 20) + 1))",
    "pitched": "ok(cuda.cuMemAllocPitch(1000, 50_000, 4))",
    "managed": "ok(cuda.cuMemAllocManaged(30 << 20, 1))",
    "in the order of a stream": "ok(cuda.cuMemAllocAsync(20 << 20, 0))",
}
MAPPED = """
property = cuda.CUmemAllocationProp()
property.type = cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
property.location.type = cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
handle = ok(cuda.cuMemCreate(40 << 20, property, 0))
address = ok(cuda.cuMemAddressReserve(40 << 20, 0, 0, 0))
ok(cuda.cuMemMap(address, 40 << 20, 0, handle, 0))
ok(cuda.cuMemRelease(handle))
"""
TAKES_FOR_EVER = """
context(); ok(cuda.cuMemAlloc(100 << 20)); print("ready", flush=True)
while True:
    pieces = [ok(cuda.cuMemAlloc(2 << 20)) for _ in range(50)]
    [ok(cuda.cuMemFree(piece)) for piece in pieces]
"""


def agrees(gpu: HookedGpu, *lease_ids: str) -> bool:
    return gpu.taken() == sum(gpu.accounted(lease_id) for lease_id in lease_ids)


@pytest.mark.parametrize("allocation", ALLOCATIONS.values(), ids=ALLOCATIONS.keys())
def test_account_agrees_with_the_driver(allocation: str) -> None:
    with hooked_gpu("a") as gpu, gpu.running("a", f"context(); {allocation}\nready()"):
        assert gpu.accounted("a") >= CONTEXT_BYTES + 20 * MIB
        assert agrees(gpu, "a")


def test_physical_memory_that_is_mapped_counts_though_its_handle_is_released() -> None:
    with hooked_gpu("a") as gpu, gpu.running("a", f"context()\n{MAPPED}\nready()"):
        assert gpu.accounted("a") == CONTEXT_BYTES + 40 * MIB
        assert agrees(gpu, "a")


def test_processes_of_a_lease_share_its_cap() -> None:
    code = "context(); print(cuda.cuMemAlloc(1 << 30)[0].name)"
    with hooked_gpu("a", memory_bytes=2 * GIB) as gpu:
        alone = gpu.run("a", code)
        with gpu.running("a", "context(); ok(cuda.cuMemAlloc(1 << 30))\nready()"):
            beside = gpu.run("a", code)

    assert (alone, beside) == ("CUDA_SUCCESS", "CUDA_ERROR_OUT_OF_MEMORY")


def test_account_is_exact_when_a_process_is_killed_at_any_moment() -> None:
    with (
        hooked_gpu("a") as gpu,
        gpu.running("a", "context(); ok(cuda.cuMemAlloc(50 << 20))\nready()"),
    ):
        for delay_ms in range(0, 30, 3):
            with gpu.running("a", TAKES_FOR_EVER) as victim:
                time.sleep(delay_ms / 1000)
                victim.send_signal(signal.SIGKILL)
                victim.wait()

            assert eventually(lambda: gpu.accounted("a") == CONTEXT_BYTES + 50 * MIB)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_container_whose_environment_is_wiped_is_held_to_its_lease() -> None:
    mount = "mount -t tmpfs none /run && mkdir -p /run/gshare && ln -s {lease} /run/gshare/lease"
    code = "context(); print(cuda.cuMemAlloc(3 << 30)[0].name)"
    with hooked_gpu("a", memory_bytes=2 * GIB) as gpu:
        variables = simgpu_node.environment(gpu.gpu, gpu.variables("a"))
        del variables[names.ENV_LEASE_DIR]
        script = mount.format(lease=gpu.node.lease("a")) + ' && exec "$@"'
        shell = ["unshare", "--mount", "env", "-u", "LD_PRELOAD", "sh", "-c", script, "sh"]
        preload = ["env", f"LD_PRELOAD={native().hook}"]
        done = subprocess.run(
            [*shell, *preload, *simgpu_node.command(code)],
            env=variables, capture_output=True, text=True, check=True,
        )  # fmt: skip

    assert done.stdout.strip() == "CUDA_ERROR_OUT_OF_MEMORY"


def test_memory_of_a_context_that_is_reset_is_given_back() -> None:
    code = """
context(); ok(cuda.cuMemAlloc(100 << 20)); ok(cuda.cuMemHostAlloc(8 << 20, 0))
ok(cuda.cuDevicePrimaryCtxReset(0)); ready()
"""
    with hooked_gpu("a") as gpu, gpu.running("a", code):
        assert gpu.accounted("a") == gpu.taken()
        assert gpu.counters("a").slots[0].host_bytes == 0


def test_host_memory_is_counted_apart() -> None:
    code = "context(); ok(cuda.cuMemHostAlloc(8 << 20, 0)); ok(cuda.cuMemAllocHost(4096)); ready()"
    with hooked_gpu("a") as gpu, gpu.running("a", code):
        assert gpu.counters("a").slots[0].host_bytes == 8 * MIB + 4096
        assert gpu.accounted("a") == CONTEXT_BYTES


def test_every_query_shows_the_cap_and_the_leases_own_processes() -> None:
    code = """
import json, os, pynvml
context(); ok(cuda.cuMemAlloc(100 << 20))
pynvml.nvmlInit(); device = pynvml.nvmlDeviceGetHandleByIndex(0)
memory = pynvml.nvmlDeviceGetMemoryInfo(device)
newer = pynvml.nvmlDeviceGetMemoryInfo(device, version=pynvml.nvmlMemory_v2)
own = [[each.pid == os.getpid(), each.usedGpuMemory >> 20]
       for each in pynvml.nvmlDeviceGetComputeRunningProcesses(device)]
free, total = ok(cuda.cuMemGetInfo())
sizes = [total, ok(cuda.cuDeviceTotalMem(0)), memory.total, newer.total]
used = [total - free, memory.used, newer.used]
print(json.dumps([sizes, used, own]))
"""
    with hooked_gpu("a", "b", memory_bytes=2 * GIB) as gpu, gpu.running("b", "context()\nready()"):
        sizes, used, own = json.loads(gpu.run("a", code))

    assert sizes == [2 * GIB] * 4
    assert used == [CONTEXT_BYTES + 100 * MIB] * 3
    assert own == [[True, 400]]
