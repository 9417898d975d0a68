"""A process that dies, stops, faults, forks or execs under the hook costs nobody else a window.

And nothing stays behind: no slot, no byte, no token.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import programs, simgpu_node
from tests.support.daemon import eventually
from tests.support.hooked import CONTEXT_BYTES, HookedGpu
from tests.support.neighbours import (
    WINDOW_S,
    again_on_a_busy_host,
    await_kernels,
    loses_a_window_at_most,
    saturated,
    victim_and_neighbour,
)

pytestmark = pytest.mark.timed

LAUNCHES_FOR_EVER = """
context(); work = kernel(48, 500); ok(cuda.cuMemAlloc(100 << 20)); print("ready", flush=True)
while True:
    launch(work, 8); ok(cuda.cuCtxSynchronize())
"""

LAUNCHES_FROM_TWO_THREADS = """
context(); work = kernel(48, 500); state = ok(cuda.cuCtxGetCurrent())
def launches():
    ok(cuda.cuCtxSetCurrent(state)); mine = ok(cuda.cuStreamCreate(1))
    while True:
        launch(work, 1, mine)
[threading.Thread(target=launches, daemon=True).start() for _ in range(2)]
ready()
"""
FORKS = {
    "fork": "os.fork()",
    "a bare system call": """ctypes.CDLL(None).syscall(
        {'x86_64': 56, 'aarch64': 220}[os.uname().machine], 17, 0, 0, 0, 0)""",
}
"""The second is clone(SIGCHLD): no handler of the process runs."""


def is_unseated(gpu: HookedGpu) -> bool:
    """Tell whether the daemon has nothing of the victim's processes any more."""
    lease = gpu.node.control.stats().lease("victim")
    return (lease.processes, lease.memory_bytes, lease.holds, lease.wants) == (0, 0, False, False)


def has_left(gpu: HookedGpu) -> bool:
    """Tell whether nothing is left of the victim's processes, by the driver too."""
    account = simgpu_node.counters(gpu.gpu).account("victim")
    return is_unseated(gpu) and (account.processes, account.memory_bytes) == (0, 0)


def descriptors(gpu: HookedGpu) -> int:
    """Return how many files the daemon has open."""
    return sum(1 for _ in Path(f"/proc/{gpu.node.daemon.pid}/fd").iterdir())


def await_token(gpu: HookedGpu) -> None:
    """Return when the victim holds the token."""
    deadline = time.monotonic() + 5
    while not gpu.node.control.stats().lease("victim").holds:
        assert time.monotonic() < deadline


@contextmanager
def stopped(gpu: HookedGpu, process: subprocess.Popen[str]) -> Iterator[None]:
    """Stop a process, and have it go on afterwards."""
    gpu.gpu.stop(process.pid)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@again_on_a_busy_host
def test_holders_that_are_killed_cost_their_neighbour_a_window_together() -> None:
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        for _ in range(5):
            with gpu.running("victim", LAUNCHES_FOR_EVER) as victim:
                await_kernels(gpu, "victim")
                await_token(gpu)
                victim.kill()

            assert eventually(lambda: has_left(gpu))


@again_on_a_busy_host
def test_a_holder_stopped_for_ten_seconds_costs_its_neighbour_a_window() -> None:
    with victim_and_neighbour() as gpu, saturated(gpu, "victim") as victim:
        await_token(gpu)
        with loses_a_window_at_most(gpu, "neighbour"), stopped(gpu, victim):
            time.sleep(10)

        await_kernels(gpu, "victim")


def test_a_process_is_not_charged_for_the_time_in_which_it_was_stopped() -> None:
    """Wherever in its slot it is stopped; the daemon waits a window for who drains."""
    with victim_and_neighbour() as gpu, gpu.running("victim", LAUNCHES_FROM_TWO_THREADS) as victim:
        charges = [_charge_of_a_stop(gpu, victim, stops * WINDOW_S / 16) for stops in range(6)]

    assert max(charges) < 2 * WINDOW_S


def _charge_of_a_stop(gpu: HookedGpu, victim: subprocess.Popen[str], after_s: float) -> float:
    """Stop the victim for four windows, some time after it got a token; return its charge in s."""
    await_token(gpu)
    time.sleep(after_s)
    before = gpu.node.control.stats().lease("victim")
    with stopped(gpu, victim):
        time.sleep(4 * WINDOW_S)
    assert eventually(lambda: gpu.node.control.stats().lease("victim").grants > before.grants, 5)
    return (gpu.node.control.stats().lease("victim").used_ns - before.used_ns) / 1e9


@pytest.mark.parametrize("code", [700, 719], ids=["illegal address", "launch failure"])
@again_on_a_busy_host
def test_a_kernel_that_faults_costs_its_neighbour_nothing_and_keeps_no_token(code: int) -> None:
    program = f"""
context(); ok(cuda.cuMemAlloc(100 << 20)); work = kernel(48, 500)
launch(work, 4); launch(kernel(48, 500, error={code}))
answers = [cuda.cuCtxSynchronize(), cuda.cuLaunchKernel(work, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0),
           cuda.cuMemAlloc(64), cuda.cuStreamSynchronize(0)]
assert [answer[0].value for answer in answers] == [{code}] * 4, answers
ready()
"""
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        with gpu.running("victim", program):
            assert eventually(lambda: not gpu.node.control.stats().lease("victim").holds)
            time.sleep(0.3)
            assert not gpu.node.control.stats().lease("victim").holds

        assert eventually(lambda: has_left(gpu))


@again_on_a_busy_host
def test_a_program_that_aborts_on_a_fault_leaves_nothing() -> None:
    program = "context(); launch(kernel(48, 5000, error=700)); ok(cuda.cuCtxSynchronize())"
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        with pytest.raises(AssertionError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
            gpu.run("victim", program)

        assert eventually(lambda: has_left(gpu))


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
@again_on_a_busy_host
def test_a_forked_child_that_outlives_its_parent_keeps_nothing_of_it(fork: str) -> None:
    """What the driver keeps while a child has its files open is the driver's business."""
    program = f"""
import ctypes, os
child = 0
def fork():
    global child
    child = {fork}
    if child == 0:
        time.sleep(30); os._exit(0)
context(); launch(kernel(48, 500), 4); fork()
print(child, flush=True)
{LAUNCHES_FOR_EVER}
"""
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        command = simgpu_node.command(program)
        variables = simgpu_node.environment(gpu.gpu, gpu.variables("victim"))
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            try:
                await_kernels(gpu, "victim")
                await_token(gpu)
                parent.kill()
                parent.wait()

                assert eventually(lambda: is_unseated(gpu))
            finally:
                os.kill(child, signal.SIGKILL)


@again_on_a_busy_host
def test_forks_amid_launches_of_other_threads_neither_hang_nor_count() -> None:
    program = """
import os
context(); work = kernel(48, 100); state = ok(cuda.cuCtxGetCurrent()); ends = threading.Event()
def launches():
    ok(cuda.cuCtxSetCurrent(state))
    while not ends.is_set():
        launch(work, 8); ok(cuda.cuCtxSynchronize())
threads = [threading.Thread(target=launches) for _ in range(3)]
[thread.start() for thread in threads]
codes = []
for number in range(30):
    child = os.fork()
    if child == 0:
        os._exit(cuda.cuLaunchKernel(work, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)[0].value)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ends.set(); [thread.join() for thread in threads]; ok(cuda.cuCtxSynchronize())
print(set(codes), flush=True)
"""
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        assert gpu.run("victim", program) == "{3}"

        assert eventually(lambda: has_left(gpu))


@again_on_a_busy_host
def test_a_process_that_execs_while_it_holds_starts_anew() -> None:
    second = simgpu_node.command(LAUNCHES_FOR_EVER.replace("100 << 20", "20 << 20"))
    program = f"""
import os
context(); ok(cuda.cuMemAlloc(1 << 30)); launch(kernel(48, 500), 20)
os.execv({second[0]!r}, {second!r})
"""
    with victim_and_neighbour() as gpu, loses_a_window_at_most(gpu, "neighbour"):
        with gpu.running("victim", program):
            await_kernels(gpu, "victim")

            assert gpu.node.control.stats().lease("victim").processes == 1
            assert gpu.accounted("victim") == CONTEXT_BYTES + (20 << 20)
            assert gpu.taken() == gpu.accounted("victim") + gpu.accounted("neighbour")

        assert eventually(lambda: has_left(gpu))


@again_on_a_busy_host
def test_a_hundred_processes_a_second_cost_their_neighbour_a_window() -> None:
    """What a killed process has in flight runs on for a moment, beside whoever comes next."""
    churn = [programs.linked("churn"), "2"]
    with victim_and_neighbour() as gpu, gpu.started("victim", churn) as starts:
        before = descriptors(gpu)
        with loses_a_window_at_most(gpu, "neighbour", overlap_percent=5):
            assert starts.stdout is not None
            assert starts.stdout.readline().split() == ["200", "0"]

        assert eventually(lambda: has_left(gpu))
        assert eventually(lambda: descriptors(gpu) <= before)
