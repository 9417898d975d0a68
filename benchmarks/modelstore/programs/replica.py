"""A server's start, as a program of its own: takes weights, looks at all of them, says how long.

Knows the store's client and nothing else of gshare, so any Python with numpy runs it (with PyTorch,
Debian's). One line of JSON on standard output; with --hold it then keeps the weights until its
standard input ends, with --wait it begins at a line of it, with --workers as many children of it do
all this, each with a line, as the workers of a server that forks them.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from gshare_modelstore.client import ModelStore, Tensor, Weights

_Found = TypeVar("_Found")

_taken: list[object] = []
"""Weights, for as long as the process lives."""


def main() -> None:
    """Do as the flags say."""
    flags = _flags()
    if flags.through == "torch":
        import torch  # type: ignore[import-not-found]  # noqa: F401, PLC0415 (before the clock starts, and where asked for only)
    if flags.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    if flags.workers and not _fork(flags.workers):
        return
    line = json.dumps(_found(flags)) + "\n"
    os.write(sys.stdout.fileno(), line.encode())  # at once: workers share the pipe
    if flags.hold:
        sys.stdin.read()


def _found(flags: argparse.Namespace) -> dict[str, object]:
    """Take the weights, look at all of them, and return what is to be told."""
    look = LOOKS[flags.through]
    context_ms = _timed(_make_context)[0] if flags.through == "cuda" else 0.0
    read_bytes = _read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it loads privately is what "disk" is for
        weights_ms, weights = _timed(lambda: _take(flags))
    look_ms, total = _timed(lambda: sum(look(each) for each in weights.values()))
    _taken.append(weights)
    return {
        "pid": os.getpid(),
        "is_shared": weights.is_shared,
        "tensors": len(weights),
        "context_ms": context_ms,
        "weights_ms": weights_ms,
        "look_ms": look_ms,
        "disk_bytes": _read_bytes() - read_bytes,
        "sum": total,
    }


def _fork(count: int) -> bool:
    """Return True in each of `count` children; False in their parent, when all have ended."""
    children = []
    for _ in range(count):
        child = os.fork()
        if not child:
            return True
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return False


def _take(flags: argparse.Namespace) -> Weights:
    device = "cuda" if flags.through == "cuda" else "cpu"
    store = ModelStore.connect(flags.socket, device=device)
    return store.get_or_load(flags.key, flags.file)


def _timed(call: Callable[[], _Found]) -> tuple[float, _Found]:
    start = time.perf_counter()
    found = call()
    return 1e3 * (time.perf_counter() - start), found


def _read_bytes() -> int:
    """Return what this process has read from disks, page cache hits not counted."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def _with_numpy(tensor: Tensor) -> float:
    """Read one element of each page of a tensor."""
    return float(tensor.numpy().reshape(-1)[::1024].sum(dtype=np.float64))


def _with_torch(tensor: Tensor) -> float:
    import torch  # noqa: PLC0415 (where asked for only)

    return float(torch.from_dlpack(tensor).reshape(-1)[::1024].double().sum())


def _with_cuda(tensor: Tensor) -> float:
    """Read the first element of a tensor from the GPU."""
    from cuda.bindings import driver as cuda  # noqa: PLC0415 (where asked for only)

    first = np.zeros(1, np.float32)
    address = tensor.__cuda_array_interface__["data"][0]
    (code,) = cuda.cuMemcpyDtoH(first.ctypes.data, address, 4)
    if code:
        raise RuntimeError(code.name)
    return float(first[0])


def _make_context() -> None:
    from cuda.bindings import driver as cuda  # noqa: PLC0415 (where asked for only)

    cuda.cuInit(0)
    code, context = cuda.cuDevicePrimaryCtxRetain(cuda.cuDeviceGet(0)[1])
    if code:
        raise RuntimeError(code.name)
    cuda.cuCtxSetCurrent(context)


LOOKS = {"numpy": _with_numpy, "torch": _with_torch, "cuda": _with_cuda}


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", help="default: the lease's")
    parser.add_argument("--key", required=True)
    parser.add_argument(
        "--file", required=True, help="safetensors, loaded where the store has none"
    )
    parser.add_argument("--through", choices=sorted(LOOKS), default="numpy")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--hold", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
