"""A client may die at any instant; the GPU goes on for the others."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from tests.support.simgpu_node import (
    ROOT,
    counters,
    environment,
    run,
    running,
    simulated_node,
)

from gshare_simgpu import SimulatedNode

pytestmark = pytest.mark.timed

HOLDING = "context(); ok(cuda.cuMemAlloc(4 << 30)); launch(kernel(80, 5000), 1000); ready()"


def test_a_killed_client_gives_back_memory_and_sms() -> None:
    with simulated_node() as node, running(node, HOLDING, GSHARE_SIMGPU_LABEL="dead") as process:
        process.kill()
        process.wait()

        reading = counters(node)
        time.sleep(0.05)
        later = counters(node)

    assert reading.memory_used_bytes == 0
    assert reading.account("dead").processes == 0
    assert later.busy_ns == reading.busy_ns


def test_a_neighbour_of_a_killed_client_has_the_gpu_to_itself() -> None:
    with simulated_node() as node, running(node, HOLDING) as process:
        process.kill()
        process.wait()

        assert run(node, "context(); print(elapsed_ms(kernel(80, 1000), 20))") == "20.0"


def test_clients_killed_amid_launches_leave_a_working_gpu() -> None:
    """Each is killed at another instant, often within the GPU's lock."""
    code = """
context(); work = kernel(8, 1); print("ready", flush=True)
while True:
    launch(work, 500); ok(cuda.cuCtxSynchronize())
"""
    with simulated_node() as node:
        for delay_ms in range(6):
            with running(node, code) as process:
                time.sleep(0.01 + delay_ms / 1000)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()

        assert run(node, "context(); print(elapsed_ms(kernel(80, 1000), 20))") == "20.0"
        assert counters(node).memory_used_bytes == 0


def test_a_client_stopped_outside_a_call_holds_nobody_up() -> None:
    with simulated_node() as node, running(node, "context(); ready()") as process:
        os.kill(process.pid, signal.SIGSTOP)

        assert run(node, "context(); print(elapsed_ms(kernel(80, 1000), 20))") == "20.0"

        os.kill(process.pid, signal.SIGCONT)


def test_a_client_stopped_amid_calls_holds_nobody_up() -> None:
    """It calls without a pause: of bare SIGSTOPs some would catch it within the lock."""
    code = """
context(); print("ready", flush=True)
while True:
    cuda.cuMemGetInfo()
"""
    waits = []
    with simulated_node() as node, running(node, code) as process:
        for _ in range(20):
            node.stop(process.pid)
            rescue = threading.Timer(1, os.kill, (process.pid, signal.SIGCONT))
            rescue.start()
            begun = time.monotonic()
            counters(node)
            waits.append(time.monotonic() - begun)
            rescue.cancel()
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.003)

    assert max(waits) < 0.2


def test_a_kernel_that_faults_ends_its_own_process_alone() -> None:
    code = """
context(); memory = ok(cuda.cuMemAlloc(64)); bad = kernel(8, 10_000, error=700)
launch(bad); launch(kernel(8, 1_000_000)); begun = time.monotonic()
answers = [cuda.cuCtxSynchronize(), cuda.cuMemAlloc(64), cuda.cuStreamQuery(0),
           cuda.cuLaunchKernel(bad, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)]
print([answer[0].value for answer in answers], time.monotonic() - begun < 0.5)
"""
    neighbour = "context(); work = kernel(8, 100_000); launch(work, 10); ready()"
    with simulated_node() as node, running(node, neighbour, GSHARE_SIMGPU_LABEL="b"):
        assert run(node, code, GSHARE_SIMGPU_LABEL="a") == "[700, 700, 700, 700] True"

        before = counters(node)
        time.sleep(0.02)
        after = counters(node)

    ran_ns = after.account("b").kernel_ns - before.account("b").kernel_ns
    assert ran_ns == after.now_ns - before.now_ns
    assert after.account("a").kernel_ns == 10_000_000


def test_the_child_of_a_fork_is_refused_and_frees_nothing() -> None:
    code = """
import os
context(); ok(cuda.cuMemAlloc(1 << 30)); child = os.fork()
if child == 0:
    os._exit(cuda.cuMemAlloc(100)[0].value)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), ok(cuda.cuMemGetInfo())[0] >> 30])
"""
    with simulated_node() as node:
        assert run(node, code) == "[3, 14]"


def test_sixteen_clients_share_one_gpu_without_loss() -> None:
    client = [sys.executable, str(ROOT / "tests/support/cuda_client.py"), "5", "1000"]
    with simulated_node() as node, ExitStack() as stack:
        programs = [start(stack, node, client, f"client-{index}") for index in range(16)]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "launching\n"
        reading = counters(node)

    assert reading.memory_used_bytes == 16 * (300 << 20)
    assert [account.processes for account in reading.accounts] == [1] * 16
    assert all(account.sm_time_ns == 5 * account.busy_ns > 0 for account in reading.accounts)
    assert reading.overcommitted_ns == 0


def start(
    stack: ExitStack, node: SimulatedNode, client: list[str], label: str
) -> subprocess.Popen[str]:
    """Start a client that ends with the stack."""
    variables = environment(node, {"GSHARE_SIMGPU_LABEL": label})
    program = stack.enter_context(
        subprocess.Popen(client, env=variables, stdout=subprocess.PIPE, text=True)
    )
    stack.callback(program.kill)
    return program
