"""Reads the arrays that loaders return: numpy, PyTorch, CuPy, JAX, Numba, plain buffers.

PyTorch's tensors are read as bytes, since its DLPack leaves out what it has dtypes for (bool in
1.13, float8) and refuses parameters. Others in a GPU's memory are read by
`__cuda_array_interface__`, all else by what numpy makes of it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from . import client_cuda, client_memory, dlpack
from .client_cuda import DeviceMemory
from .errors import GpuError, SafetensorsError
from .safetensors import BITS
from .tensors import CUDA_TYPES, NUMPY, Memory, Tensor

_OF_NUMPY: Final = {name: dtype for dtype, name in NUMPY.items()}
_OF_CUDA: Final = {typestr: dtype for dtype, typestr in CUDA_TYPES.items()}
_OF_TORCH: Final = {f"torch.{name}": dtype for dtype, name in NUMPY.items()}
_READABLE: Final = ("__array_interface__", "__array_struct__", "__array__")
_FAULTS: Final = (TypeError, ValueError, RuntimeError, BufferError, AttributeError, GpuError)


@dataclass(frozen=True, slots=True)
class Array:
    """A loader's array: what it is, and the contiguous memory that holds it."""

    dtype: str
    shape: tuple[int, ...]
    memory: Memory
    host: npt.NDArray[np.uint8] | None
    """Its bytes; None in a GPU's memory."""

    def read(self) -> memoryview:
        """Return its bytes, copied from the GPU where they are there."""
        if self.host is not None:
            return self.host.data
        return client_cuda.download(self.memory.address, self.size_bytes).data

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * BITS[self.dtype] // 8

    def tensor(self) -> Tensor:
        """Return a tensor over the loader's own memory."""
        return Tensor(self.memory, 0, self.dtype, self.shape)


def read_all(arrays: object) -> dict[str, Array]:
    """Return a loader's arrays by name; SafetensorsError that names one that cannot be read."""
    if not isinstance(arrays, Mapping):
        raise SafetensorsError(
            f"the loader returned {_kind(arrays)}: wants arrays by name, or a file's path"
        )
    return {name: read(name, array) for name, array in arrays.items()}


def read(name: object, array: object) -> Array:
    """Return one array; SafetensorsError that says why it cannot be read."""
    if not isinstance(name, str):
        raise SafetensorsError(f"tensor {name!r}: the name is no text")
    reader = _reader(array)
    if reader is None:
        raise SafetensorsError(f"tensor {name!r}: {_kind(array)} is no array")
    try:
        return reader(array)
    except _FAULTS as error:
        line = " ".join(str(error).split())
        raise SafetensorsError(f"tensor {name!r}: {_kind(array)} cannot be read: {line}") from error


def _reader(array: object) -> Callable[[Any], Array] | None:
    if isinstance(array, Tensor):
        return _of_tensor
    if type(array).__module__.partition(".")[0] == "torch":
        return _of_torch
    if hasattr(array, "__cuda_array_interface__"):
        return _of_cuda
    if any(hasattr(array, each) for each in _READABLE) or _is_buffer(array):
        return _of_numpy
    return _of_dlpack if hasattr(array, "__dlpack__") else None


def _of_tensor(tensor: Tensor) -> Array:
    memory = _Held(tensor, tensor.address, tensor.__dlpack_device__())
    if memory.device[0] != dlpack.CPU:
        return Array(tensor.dtype, tensor.shape, memory, None)
    raw = Tensor(memory, 0, "U8", (tensor.size_bytes,)).numpy()
    return Array(tensor.dtype, tensor.shape, memory, raw)


def _of_torch(tensor: Any) -> Array:  # noqa: ANN401 (torch is not installed here)
    name = str(tensor.dtype)
    if name not in _OF_TORCH:
        raise TypeError(f"{name} is no safetensors dtype")
    raw = tensor.detach().contiguous().reshape(-1).view(sys.modules["torch"].uint8)
    shape = tuple(int(side) for side in tensor.shape)
    if raw.device.type == "cpu":
        return _on_host(_OF_TORCH[name], shape, np.asarray(raw))
    return _of_cuda(raw, _OF_TORCH[name], shape)


def _of_cuda(array: Any, dtype: str = "", shape: tuple[int, ...] = ()) -> Array:  # noqa: ANN401
    """Read device memory; `dtype` and `shape` are told where `array` is only its bytes."""
    interface = array.__cuda_array_interface__
    if not dtype:
        dtype, shape = _OF_CUDA.get(interface["typestr"], ""), tuple(interface["shape"])
        if not dtype:
            raise TypeError(f"{interface['typestr']} is no safetensors dtype")
    if not _is_contiguous(interface, BITS[dtype] // 8):
        raise ValueError("its elements are not row-major and contiguous")
    memory = DeviceMemory(int(interface["data"][0]), 0, is_read_only=bool(interface["data"][1]))
    held = _Held(array, memory.address, (dlpack.CUDA, _ordinal(memory.address)))
    return Array(dtype, shape, held, None)


def _of_numpy(array: object) -> Array:
    made = np.asarray(array)
    dtype = _OF_NUMPY.get(made.dtype.name)
    if dtype is None:
        raise TypeError(f"{made.dtype} is no safetensors dtype")
    if not made.dtype.isnative:
        made = made.astype(made.dtype.newbyteorder("="))
    if not made.flags.c_contiguous:
        made = made.copy(order="C")
    return _on_host(dtype, made.shape, made.reshape(-1).view(np.uint8))


def _of_dlpack(array: Any) -> Array:  # noqa: ANN401
    return _of_numpy(np.from_dlpack(array))


def _on_host(dtype: str, shape: tuple[int, ...], raw: npt.NDArray[np.uint8]) -> Array:
    return Array(dtype, shape, client_memory.of_array(raw), raw)


class _Held:
    """Memory that an array of somebody else's keeps alive."""

    is_read_only = False

    def __init__(self, keeper: object, address: int, device: tuple[int, int]) -> None:
        self.keeper = keeper
        self.address = address
        self.device = device


def _ordinal(address: int) -> int:
    return client_cuda.ordinal_at(address) if address else 0


def _is_contiguous(interface: Mapping[str, Any], itemsize: int) -> bool:
    strides = interface.get("strides")
    if strides is None or 0 in interface["shape"]:
        return True
    expected = itemsize
    for side, stride in zip(reversed(interface["shape"]), reversed(strides), strict=True):
        if side > 1 and stride != expected:
            return False
        expected *= side
    return True


def _is_buffer(array: object) -> bool:
    try:
        memoryview(array)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(array, str)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
