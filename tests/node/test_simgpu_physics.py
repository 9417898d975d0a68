"""The simulated GPU keeps its closed forms, whatever the host does meanwhile.

Times are read from the GPU (events, counters), so no tolerance hides host noise.
"""

import json
import time

import pytest
from tests.support.simgpu_node import counters, run, running, simulated_node

from gshare_simgpu import GpuCounters, SimulatedNode

pytestmark = pytest.mark.timed

# One request of a model: kernels of (SM demand, duration in us at full demand). With 80 SMs, 6, 12
# and 24 % are caps of 4, 9 and 19 SMs. The three sums are chosen so that a request takes
# 1/49.8, 1/68.5 and 1/75 s: the curve of ResNet-50 in the published figures.
RESNET_LIKE = ((4, 10213.1), (9, 1981.5), (19, 1138.7))


def saturating(sm_demand: int, duration_us: int = 1000) -> str:
    """Return a program that keeps a second of work queued."""
    return f"context(); launch(kernel({sm_demand}, {duration_us}), 1000); ready()"


def share(before: GpuCounters, after: GpuCounters, label: str) -> tuple[float, float]:
    """Return the busy share of an account and its mean SMs over an interval."""
    span = after.now_ns - before.now_ns
    old, new = before.account(label), after.account(label)
    return (new.busy_ns - old.busy_ns) / span, (new.sm_time_ns - old.sm_time_ns) / span


def observe(node: SimulatedNode, seconds: float = 0.25) -> tuple[GpuCounters, GpuCounters]:
    before = counters(node)
    time.sleep(seconds)
    return before, counters(node)


@pytest.mark.parametrize(("percent", "sms"), [(6, 7), (24, 31), (50, 66), (80, 105), (100, 132)])
def test_a_cap_slows_a_kernel_by_demand_over_cap(percent: int, sms: int) -> None:
    with simulated_node("h100") as node:
        code = "context(); print(elapsed_ms(kernel(66, 1000), 100))"

        elapsed = float(run(node, code, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=str(percent)))

    assert elapsed == pytest.approx(100 * max(1, 66 / sms), rel=1e-5)


def test_event_times_are_exact() -> None:
    with simulated_node() as node:
        elapsed = run(node, "context(); print(elapsed_ms(kernel(80, 100), 900))")

    assert elapsed == "90.0"


def test_a_time_scale_stretches_kernels() -> None:
    with simulated_node(time_scale=4) as node:
        elapsed = run(node, "context(); print(elapsed_ms(kernel(80, 100), 100))")

    assert elapsed == "40.0"


@pytest.mark.parametrize(("percent", "rate"), [(6, 49.8), (12, 68.5), (24, 75.0), (50, 75.0)])
def test_a_request_of_mixed_kernels_follows_the_published_curve(percent: int, rate: float) -> None:
    code = f"""
context(); kernels = [kernel(*cost) for cost in {RESNET_LIKE}]; launch(kernels[0])
start = event()
for _ in range(5):
    [launch(one) for one in kernels]
end = event(); ok(cuda.cuEventSynchronize(end))
print(5000 / ok(cuda.cuEventElapsedTime(start, end)))
"""
    with simulated_node() as node:
        measured = float(run(node, code, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=str(percent)))

    assert measured == pytest.approx(rate, rel=0.001)


def test_processes_run_side_by_side_while_sms_last() -> None:
    with (
        simulated_node("h100") as node,
        running(node, saturating(66), GSHARE_SIMGPU_LABEL="a"),
        running(node, saturating(66), GSHARE_SIMGPU_LABEL="b"),
    ):
        before, after = observe(node)

    assert share(before, after, "a") == pytest.approx((1, 66))
    assert share(before, after, "b") == pytest.approx((1, 66))
    assert after.overcommitted_ns == 0


def test_processes_that_want_more_than_the_gpu_share_it_in_proportion() -> None:
    with (
        simulated_node("h100") as node,
        running(node, saturating(132), GSHARE_SIMGPU_LABEL="a"),
        running(node, saturating(66), GSHARE_SIMGPU_LABEL="b"),
    ):
        before, after = observe(node)

    assert share(before, after, "a") == pytest.approx((1, 88))
    assert share(before, after, "b") == pytest.approx((1, 44))
    assert after.overcommitted_ns - before.overcommitted_ns == after.now_ns - before.now_ns


def test_processes_take_turns_without_mps() -> None:
    with (
        simulated_node("h100", mps=False) as node,
        running(node, saturating(66), GSHARE_SIMGPU_LABEL="a"),
        running(node, saturating(66), GSHARE_SIMGPU_LABEL="b"),
    ):
        before, after = observe(node)

    assert share(before, after, "a") == pytest.approx((0.5, 33), rel=0.02)
    assert share(before, after, "b") == pytest.approx((0.5, 33), rel=0.02)
    assert after.busy_ns - before.busy_ns == after.now_ns - before.now_ns
    assert after.overcommitted_ns == 0


def test_streams_of_one_process_overlap_within_its_cap() -> None:
    code = """
context(); streams = [ok(cuda.cuStreamCreate(1)) for _ in range(2)]; work = kernel(20, 1000)
gate = kernel(1, 20000); launch(gate, 1, streams[0]); opened = event(streams[0])
ok(cuda.cuStreamWaitEvent(streams[1], opened, 0))
[launch(work, 50, stream) for stream in streams]
ends = [event(stream) for stream in streams]
[ok(cuda.cuEventSynchronize(end)) for end in ends]
print([ok(cuda.cuEventElapsedTime(opened, end)) for end in ends])
"""
    with simulated_node() as node:
        alone = json.loads(run(node, code))
        capped = json.loads(run(node, code, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE="25"))

    assert alone == [50.0, 50.0]
    assert capped == pytest.approx([100.0, 100.0])


def test_the_legacy_stream_waits_for_blocking_streams_and_holds_them_up() -> None:
    code = """
context(); stream = ok(cuda.cuStreamCreate(0)); work = kernel(8, 1000)
launch(work, 30, stream); first = event(stream)
launch(work, 20); middle = event(); launch(work, 10, stream); last = event(stream)
ok(cuda.cuEventSynchronize(last))
print([ok(cuda.cuEventElapsedTime(first, end)) for end in (middle, last)])
"""
    with simulated_node() as node:
        assert json.loads(run(node, code)) == [20.0, 30.0]


def test_a_copy_takes_the_links_time() -> None:
    code = """
context(); host = np.zeros(24_000_000, np.uint8); device = ok(cuda.cuMemAlloc(host.nbytes))
launch(kernel(1, 200_000)); start = event()
ok(cuda.cuMemcpyHtoDAsync(device, host, host.nbytes, 0)); end = event()
ok(cuda.cuEventSynchronize(end)); print(ok(cuda.cuEventElapsedTime(start, end)))
"""
    with simulated_node() as node:
        assert run(node, code) == "2.0"


def test_a_kernel_without_a_cost_is_charged_by_its_blocks() -> None:
    code = "context(); print(elapsed_ms(kernel(), 10, grid=80 * 2 * 50, block=1024))"
    with simulated_node() as node:
        assert float(run(node, code)) == pytest.approx(10 * 50 * 0.010)


def test_a_full_queue_blocks_the_launcher() -> None:
    code = """
context(); work = kernel(80, 1000); start = time.monotonic(); launch(work, 1100)
print(time.monotonic() - start)
"""
    with simulated_node() as node:
        assert float(run(node, code)) > 0.07


def test_spans_tell_when_kernels_of_a_label_ran() -> None:
    code = """
context(); work = kernel(8, 1000)
for _ in range(3):
    launch(work, 4); ok(cuda.cuCtxSynchronize()); time.sleep(0.01)
"""
    with simulated_node() as node:
        run(node, code, GSHARE_SIMGPU_LABEL="a")
        read = node.spans(node.gpus[0].uuid)
        rest = node.spans(node.gpus[0].uuid, read.next_number - 1)

    assert [span.label for span in read.spans] == ["a"] * 3
    assert [span.end_ns - span.begin_ns for span in read.spans] == [4_000_000] * 3
    assert rest.spans == read.spans[-1:]


def test_time_in_which_work_waits_for_the_host_is_told() -> None:
    code = """
import ctypes
context(); callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: time.sleep(0.05))
function = cuda.CUhostFn(ctypes.cast(callback, ctypes.c_void_p).value)
ok(cuda.cuLaunchHostFunc(0, function, 0)); launch(kernel(8, 1000)); ok(cuda.cuCtxSynchronize())
"""
    with simulated_node() as node:
        run(node, code)
        reading = counters(node)

    assert 0.05 < reading.stalled_ns / 1e9 < 0.2
    assert (reading.busy_ns, reading.kernel_ns) == (1_000_000, 1_000_000)


def test_copies_are_busy_time_but_not_kernel_time() -> None:
    code = """
context(); host = np.zeros(24_000_000, np.uint8); device = ok(cuda.cuMemAlloc(host.nbytes))
ok(cuda.cuMemcpyHtoD(device, host, host.nbytes)); launch(kernel(8, 3000))
ok(cuda.cuCtxSynchronize())
"""
    with simulated_node() as node:
        run(node, code, GSHARE_SIMGPU_LABEL="a")
        account = counters(node).account("a")

    assert (account.busy_ns, account.kernel_ns) == (5_000_000, 3_000_000)
    assert account.sm_time_ns == 8 * 3_000_000


def test_totals_are_the_sum_of_the_accounts() -> None:
    with simulated_node("h100") as node:
        for label in ("a", "b"):
            run(node, "context(); elapsed_ms(kernel(66, 1000), 20)", GSHARE_SIMGPU_LABEL=label)
        reading = counters(node)

    assert [account.launches for account in reading.accounts] == [21, 21]
    assert reading.sm_time_ns == sum(account.sm_time_ns for account in reading.accounts)
    assert reading.busy_ns == sum(account.busy_ns for account in reading.accounts)
    assert reading.sm_time_ns == 2 * 21 * 66 * 1_000_000
