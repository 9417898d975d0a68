"""Reads GPUs at even steps of the clock."""

import time
from collections.abc import Sequence

from gshare_simgpu import GpuCounters

from .gpu import BenchGpu

_CLOSE_NS = 300_000
_MOST_MORE = 10


def sample(gpus: Sequence[BenchGpu], steps: int, step_us: int) -> list[list[GpuCounters]]:
    """Return the readings of each GPU, `steps` steps apart from first to last.

    The last one must come on time, as a window that is cut would count as an error: where the host
    made us late, more steps follow until one is.
    """
    step_ns = step_us * 1000
    found = [[_read(gpu)] for gpu in gpus]
    start_ns = time.monotonic_ns()
    count = late_ns = 0
    while count < steps or (late_ns > _CLOSE_NS and count < steps + _MOST_MORE):
        count += 1
        _sleep_until(start_ns + count * step_ns)
        late_ns = time.monotonic_ns() - start_ns - count * step_ns
        for readings, gpu in zip(found, gpus, strict=True):
            readings.append(_read(gpu))
    return found


def _read(gpu: BenchGpu) -> GpuCounters:
    return gpu.node.counters(gpu.gpu.uuid)


def _sleep_until(at_ns: int) -> None:
    time.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)
