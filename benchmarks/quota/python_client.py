"""A Python program that uses the GPU: one launch, one synchronisation, for ever.

python_client.py sync SM_DEMAND KERNEL_US [SEED], as client.c: prints "ready", waits for a line.
"""

import sys

from cuda.bindings import driver as cuda

PTX = """.version 7.0
.target sm_70
.address_size 64
.visible .entry work() {{
    .pragma "gshare.simulated sm_demand={sm_demand} duration_us={duration_us}";
    ret;
}}
"""


def main() -> None:
    """Load a kernel, and launch it until killed."""
    _, workload, sm_demand, duration_us, *_ = sys.argv
    if workload != "sync":
        sys.exit(f"workload {workload}: this program knows sync alone")
    function = load(PTX.format(sm_demand=sm_demand, duration_us=duration_us))
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    while True:
        done(cuda.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0))
        done(cuda.cuStreamSynchronize(0))


def load(ptx: str) -> object:
    """Return the kernel of `ptx` in the first device's primary context."""
    done(cuda.cuInit(0))
    done(cuda.cuCtxSetCurrent(done(cuda.cuDevicePrimaryCtxRetain(done(cuda.cuDeviceGet(0))))))
    module = done(cuda.cuModuleLoadData(ptx.encode() + b"\0"))
    return done(cuda.cuModuleGetFunction(module, b"work"))


def done(answer: tuple[object, ...]) -> object:
    """Return the value of a driver call; exit where it failed."""
    result, *values = answer
    if result:
        sys.exit(f"CUDA error {result}")
    return values[0] if values else None


if __name__ == "__main__":
    main()
