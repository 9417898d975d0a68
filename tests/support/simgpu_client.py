"""What the test programs that run on a simulated GPU share: cuda-bindings, made terse.

Imported with `*` by the programs in tests/node/test_simgpu_*.py.
"""

import sys
import threading
import time

from cuda.bindings import driver as cuda

__all__ = [
    "context", "cuda", "elapsed_ms", "event", "kernel", "launch", "ok", "ready", "sys",
    "threading", "time",
]  # fmt: skip

PTX = """.version 7.0
.target sm_70
.address_size 64
.visible .entry work(.param .u64 values, .param .u32 count)
{{
    {cost}
    ret;
}}
"""


def ok(answer):
    """Return the values of a driver call; raise where it failed."""
    result, *values = answer
    if result:
        raise RuntimeError(result.name)
    return values[0] if len(values) == 1 else tuple(values)


def context(ordinal=0):
    """Make the primary context of a device current."""
    ok(cuda.cuInit(0))
    ok(cuda.cuCtxSetCurrent(ok(cuda.cuDevicePrimaryCtxRetain(ok(cuda.cuDeviceGet(ordinal))))))


def kernel(sm_demand=None, duration_us=None, error=0):
    """Return a kernel of that cost; without a cost, one that is charged by its grid."""
    fault = f" error={error}" if error else ""
    cost = f'.pragma "gshare.simulated sm_demand={sm_demand} duration_us={duration_us}{fault}";'
    text = PTX.format(cost=cost if sm_demand else "")
    return ok(cuda.cuModuleGetFunction(ok(cuda.cuModuleLoadData(text.encode() + b"\0")), b"work"))


def launch(function, count=1, stream=0, grid=1, block=1):
    """Launch a kernel `count` times."""
    for _ in range(count):
        ok(cuda.cuLaunchKernel(function, grid, 1, 1, block, 1, 1, 0, stream, 0, 0))


def event(stream=0):
    """Return an event recorded in a stream."""
    made = ok(cuda.cuEventCreate(0))
    ok(cuda.cuEventRecord(made, stream))
    return made


def elapsed_ms(function, count, stream=0, **shape):
    """Return the GPU time of `count` launches behind a first one, so that no host time is in it."""
    launch(function, 1, stream, **shape)
    start = event(stream)
    launch(function, count, stream, **shape)
    end = event(stream)
    ok(cuda.cuEventSynchronize(end))
    return ok(cuda.cuEventElapsedTime(start, end))


def ready():
    """Tell the test to go on, and wait to be killed."""
    print("ready", flush=True)  # noqa: T201 (the test reads it)
    time.sleep(30)
