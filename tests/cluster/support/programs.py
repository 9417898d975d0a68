"""Programs that test pods run: Python with ctypes on the driver API, little processor time.

Each prints one JSON object a line. The first has the lease as the program sees it: `page` is its
limits page in hexadecimal, `env` what stands in its environment, `preload` its ld.so.preload.
"""

import inspect
from typing import Final

from tests.support import cuda_client

_FRAME: Final = """
import ctypes, json, os, signal, sys, time

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

def say(**what):
    print(json.dumps(what), flush=True)

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return str(error).encode()

def check(result):
    if result:
        say(error=result)
        sys.exit(1)

@KERNEL@

def launch(function):
    check(cuda.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, None, None))

known = {
    key: value
    for key, value in os.environ.items()
    if key.startswith(("CUDA_", "GSHARE_", "LD_"))
}
say(page=read("/run/gshare/lease/limits").hex(), env=known,
    preload=read("/etc/ld.so.preload").decode())
cuda = ctypes.CDLL("libcuda.so.1")
"""
# The kernel is loaded as by the client of the other tests: its own lines, shipped to the pod.
_KERNEL: Final = f"""
KERNEL = {cuda_client.KERNEL!r}

{inspect.getsource(cuda_client.load)}
def kernel(sm_demand, duration_us):
    return load(cuda, KERNEL.format(sm_demand=sm_demand, duration_us=duration_us))
"""
_START: Final = _FRAME.replace("@KERNEL@", _KERNEL)

BUSY: Final = (
    _START
    + """
sm_demand, duration_us = sys.argv[1:] or (1, 500)
function = kernel(sm_demand, duration_us)
launch(function)
say(launching=True)
while True:  # the hook bounds what is queued, and waits inside the call
    launch(function)
"""
)
"""Keeps the GPU busy for ever. Arguments: SM_DEMAND (default 1) and DURATION_US (default 500)."""

CALM: Final = (
    _START
    + """
launch(kernel(1, 100))
check(cuda.cuCtxSynchronize())
say(launching=True)
while True:
    signal.pause()
"""
)
"""Uses the GPU once and then holds its lease in peace."""

GREEDY: Final = (
    _START
    + """
say(launching=True)
hoard = []
while True:
    hoard.append(bytearray(os.urandom(1 << 20)) * 4)
"""
)
"""Takes host memory until it is killed for it."""

FAILING: Final = (
    _START
    + """
launch(kernel(1, 100))
check(cuda.cuCtxSynchronize())
say(launching=True)
sys.exit(3)
"""
)
"""Uses the GPU once and ends with an error, each time it is started."""
