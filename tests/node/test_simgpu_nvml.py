"""NVML tells what the GPU's own counters tell."""

import json
import subprocess
import time

import pynvml
import pytest
from tests.support.simgpu_node import counters, environment, run, running, simulated_node

from gshare_simgpu import SimulatedNode

BUSY = "context(); launch(kernel(80, 2500), 1000); ready()"
READ = """
import json, pynvml as nvml
nvml.nvmlInit(); gpu = nvml.nvmlDeviceGetHandleByIndex(0)
pids = [p.pid for p in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)]
"""


def read(node: SimulatedNode, expression: str) -> object:
    """Return what a program that uses pynvml alone sees."""
    return json.loads(run(node, f"{READ}\nprint(json.dumps({expression}))"))


def test_a_process_is_listed_from_its_first_context_on() -> None:
    with simulated_node() as node:
        code = "ok(cuda.cuInit(0)); print('ready', flush=True); sys.stdin.readline()"
        with running(node, code):
            assert read(node, "pids") == []
        with running(node, "context(); ready()") as process:
            assert read(node, "pids") == [process.pid]


def test_utilisation_and_sm_share_are_different_things() -> None:
    with simulated_node() as node:
        with running(node, BUSY, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="25") as process:
            time.sleep(1.1)
            gpu, sm = read(
                node,
                "[nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,"
                " {p.pid: p.smUtil for p in nvml.nvmlDeviceGetProcessUtilization(gpu, 0)}]",
            )
        reading = counters(node)

    assert gpu == 100
    assert sm == {str(process.pid): 25}
    assert reading.sm_time_ns == pytest.approx(20 * reading.busy_ns)


def test_memory_agrees_with_the_counters() -> None:
    with (
        simulated_node() as node,
        running(node, "context(); ok(cuda.cuMemAlloc(1 << 30)); ready()"),
    ):
        memory = read(
            node,
            "[nvml.nvmlDeviceGetMemoryInfo(gpu).used,"
            " nvml.nvmlDeviceGetMemoryInfo(gpu, nvml.nvmlMemory_v2).used,"
            " nvml.nvmlDeviceGetComputeRunningProcesses(gpu)[0].usedGpuMemory]",
        )

        assert memory == [counters(node).memory_used_bytes] * 3


def test_the_board_says_that_it_is_simulated() -> None:
    with simulated_node() as node:
        texts = read(
            node,
            "[nvml.nvmlDeviceGetName(gpu), nvml.nvmlDeviceGetSerial(gpu),"
            " nvml.nvmlDeviceGetBoardPartNumber(gpu), nvml.nvmlDeviceGetUUID(gpu)]",
        )

    assert texts == [
        "Tesla V100-SXM2-16GB",
        "simulated-0",
        "gshare simulated GPU",
        node.gpus[0].uuid,
    ]


def test_nvml_prints_nothing_and_sees_hidden_gpus() -> None:
    code = "import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetCount())"
    with simulated_node(count=3) as node:
        done = subprocess.run(
            ["python3", "-c", code],
            env=environment(node, {"CUDA_VISIBLE_DEVICES": "1", "PYTHONPATH": _package_folder()}),
            capture_output=True,
            text=True,
            check=False,
        )

    assert (done.stdout, done.stderr) == ("3\n", "")


def _package_folder() -> str:
    return pynvml.__file__.rpartition("/")[0]


def test_a_fault_reaches_every_event_set_that_waits_for_it() -> None:
    wait = """
events = nvml.nvmlEventSetCreate()
nvml.nvmlDeviceRegisterEvents(gpu, nvml.nvmlEventTypeXidCriticalError, events)
print("ready", flush=True)
event = nvml.nvmlEventSetWait_v2(events, 5000)
print(nvml.nvmlDeviceGetUUID(event.device), event.eventType, event.eventData)
"""
    with simulated_node() as node, running(node, READ + wait) as process:
        node.report_xid(node.gpus[0].uuid, 79)

        assert process.stdout is not None
        assert process.stdout.readline().split() == [node.gpus[0].uuid, "8", "79"]


def test_a_lost_gpu_answers_again_once_it_is_back() -> None:
    ask = """
def answers():
    try:
        return bool(nvml.nvmlDeviceGetMemoryInfo(gpu).total)
    except nvml.NVMLError_GpuIsLost:
        return False
"""
    with simulated_node() as node:
        answers = []
        for lost in (True, False):
            node.set_lost(node.gpus[0].uuid, lost=lost)
            program = f"{READ.rsplit('pids', 1)[0]}{ask}\nprint(json.dumps(answers()))"
            answers.append(json.loads(run(node, program)))

    assert answers == [False, True]


def test_a_forked_child_reads_as_its_parent_does() -> None:
    fork = """
import os
nvml.nvmlDeviceGetUtilizationRates(gpu)
child = os.fork()
if not child:
    nvml.nvmlDeviceGetMemoryInfo(gpu)
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
print(json.dumps(nvml.nvmlDeviceGetMemoryInfo(gpu).used))
"""
    with simulated_node() as node:
        assert json.loads(run(node, READ + fork)) == 0
