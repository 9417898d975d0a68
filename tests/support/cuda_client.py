"""A small CUDA client: launches one kernel for ever, through the driver API and ctypes alone.

    cuda_client.py SM_DEMAND DURATION_US [BATCH]

Keeps the GPU as busy as it may: launches BATCH kernels (default 4), then synchronizes. Prints
"launching" after the first batch. SIGTERM ends it with exit code 0.
"""

import ctypes
import signal
import sys

KERNEL = """.version 7.0
.target sm_70
.address_size 64
.visible .entry work() {{
    .pragma "gshare.simulated sm_demand={sm_demand} duration_us={duration_us}";
    ret;
}}
"""


def main() -> None:
    """Launch until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sm_demand, duration_us, *rest = sys.argv[1:]
    batch = int(rest[0]) if rest else 4
    cuda = ctypes.CDLL("libcuda.so.1")
    function = load(cuda, KERNEL.format(sm_demand=sm_demand, duration_us=duration_us))
    launch(cuda, function, batch)
    print("launching", flush=True)  # noqa: T201 (tests read it)
    while True:
        launch(cuda, function, batch)


def load(cuda: ctypes.CDLL, ptx: str) -> ctypes.c_void_p:
    """Return the kernel of `ptx`, in the primary context of the first device."""
    context, module, function = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    device = ctypes.c_int()
    check(cuda.cuInit(0))
    check(cuda.cuDeviceGet(ctypes.byref(device), 0))
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    check(cuda.cuCtxSetCurrent(context))
    check(cuda.cuModuleLoadData(ctypes.byref(module), ptx.encode()))
    check(cuda.cuModuleGetFunction(ctypes.byref(function), module, b"work"))
    return function


def launch(cuda: ctypes.CDLL, function: ctypes.c_void_p, batch: int) -> None:
    """Launch `batch` kernels and wait for them."""
    for _ in range(batch):
        check(cuda.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, None, None))
    check(cuda.cuCtxSynchronize())


def check(result: int) -> None:
    """Exit with a line that names the error, if there is one."""
    if result:
        sys.exit(f"CUDA error {result}")


if __name__ == "__main__":
    main()
