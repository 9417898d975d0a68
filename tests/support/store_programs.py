"""What the test programs that are clients of a model store share; imported with `*`."""

import sys
import time
import warnings

import numpy as np
from cuda.bindings import driver as cuda

from gshare_modelstore.client import ModelStore
from gshare_modelstore.errors import StoreError

__all__ = [
    "ModelStore", "StoreError", "cuda", "last", "np", "say", "step", "sys", "tensors", "time",
    "warnings",
]  # fmt: skip

_CUDA = 2  # kDLCUDA


def tensors(mib: int, value: float = 1.0) -> dict[str, object]:
    """Return weights of so many MiB, all of them `value`."""
    return {"weight": np.full(mib << 18, value, np.float32)}


def last(weights) -> float:
    """Return the last element of the weights, from wherever they lie."""
    tensor = weights["weight"]
    if tensor.__dlpack_device__()[0] != _CUDA:
        return float(np.from_dlpack(tensor)[-1])
    cuda.cuCtxSetCurrent(cuda.cuDevicePrimaryCtxRetain(0)[1])  # as a server has one
    described = tensor.__cuda_array_interface__
    found = np.zeros(1, np.float32)
    address = described["data"][0] + 4 * (described["shape"][0] - 1)
    (code,) = cuda.cuMemcpyDtoH(found.ctypes.data, address, 4)
    assert not code, code
    return float(found[0])


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)  # noqa: T201


def step(*words: object) -> None:
    """Tell the test, and wait until it says to go on; end with it."""
    say(*words)
    if not sys.stdin.readline():
        sys.exit()
