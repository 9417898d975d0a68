"""Host memory that tensors lie in: a map of a sealed file, or an array that a loader made."""

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from . import dlpack


class HostMemory:
    """A range of host memory, kept alive by holding `keeper`."""

    __slots__ = ("__weakref__", "address", "is_read_only", "keeper")

    device = (dlpack.CPU, 0)

    def __init__(self, keeper: object, address: int, *, is_read_only: bool) -> None:
        self.keeper = keeper
        self.address = address
        self.is_read_only = is_read_only


def of_array(array: npt.NDArray[Any]) -> HostMemory:
    """Return the memory of a loader's contiguous array."""
    address = int(array.__array_interface__["data"][0])
    return HostMemory(array, address, is_read_only=not array.flags.writeable)


def of_file(descriptor: int, size_bytes: int) -> HostMemory:
    """Map a sealed file of `size_bytes` for reading; the descriptor may be closed then.

    OSError where the kernel refuses, ValueError where the file is not so large. Pages are shared
    with everybody who maps the file. A private map, since kernels before 6.7 refuse a shared one
    of a file that is sealed against writing, even for reading; without the right to write both
    are the same pages.
    """
    if size_bytes < 1:  # which mmap would take for the whole file
        raise ValueError(f"{size_bytes} bytes")
    mapping = mmap.mmap(descriptor, size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    start = np.frombuffer(mapping, np.uint8, 1)
    return HostMemory(mapping, int(start.__array_interface__["data"][0]), is_read_only=True)
