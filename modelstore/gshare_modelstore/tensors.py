"""Tensors over memory that somebody else keeps: what weights are made of.

A tensor owns nothing; it, and every array that is made of it, keeps its memory alive. On a GPU it
has `__cuda_array_interface__` and DLPack, in host memory DLPack and numpy, all without a copy.
"""

from math import prod
from typing import Any, Final, Protocol, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import dlpack
from .safetensors import BITS

NUMPY: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
"""numpy's name of each dtype; numpy knows bfloat16 and the float8 once ml_dtypes is imported."""

CUDA_TYPES: Final = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "C64": "<c8",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}
"""`typestr` of each dtype that `__cuda_array_interface__` can name: DLPack has more."""


class Memory(Protocol):
    """A range of host or device memory that lives as long as this object."""

    @property
    def address(self) -> int:
        """Where it begins."""

    @property
    def device(self) -> tuple[int, int]:
        """DLPack's device type and ordinal: (1, 0) is the host's memory."""

    @property
    def is_read_only(self) -> bool:
        """Whether nobody may write through it."""


class _Lens:
    """What numpy is shown: an address as an array's, and the memory that it then keeps alive."""

    def __init__(self, memory: Memory, interface: dict[str, Any]) -> None:
        self.memory = memory
        self.__array_interface__ = interface


class Tensor:
    """One tensor: `dtype` as safetensors names it, `shape`, row-major elements at `address`."""

    __slots__ = ("__weakref__", "_memory", "_offset", "dtype", "shape")

    def __init__(self, memory: Memory, offset: int, dtype: str, shape: tuple[int, ...]) -> None:
        self._memory = memory
        self._offset = offset
        self.dtype = dtype
        self.shape = shape

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * BITS[self.dtype] // 8

    @property
    def address(self) -> int:
        """Where the first element is: a device pointer on a GPU."""
        return self._memory.address + self._offset

    @property
    def is_read_only(self) -> bool:
        """Whether nobody may write through this tensor."""
        return self._memory.is_read_only

    @property
    def device(self) -> str:
        """Where it is: "cpu", or "cuda:0" and so on."""
        kind, ordinal = self._memory.device
        return "cpu" if kind == dlpack.CPU else f"cuda:{ordinal}"

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What CuPy, Numba and PyTorch read; absent in host memory, and for bfloat16 and float8."""
        if self._memory.device[0] != dlpack.CUDA or self.dtype not in CUDA_TYPES:
            raise AttributeError(f"{self!r} has no __cuda_array_interface__")
        return {
            "shape": self.shape,
            "typestr": CUDA_TYPES[self.dtype],
            "data": (self.address if self.size_bytes else 0, self.is_read_only),
            "strides": None,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's device type and ordinal."""
        return self._memory.device

    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """Return a capsule without a copy; BufferError where a copy or another device is asked.

        The elements were there before the tensor was, so no stream has to wait for any other.
        """
        del stream
        if copy:
            raise BufferError(f"{self!r}: copies are the consumer's to make")
        if dl_device is not None and tuple(map(int, dl_device)) != self._memory.device:
            raise BufferError(f"{self!r}: not on device {dl_device}")
        return dlpack.capsule(
            self._carrier,
            self.dtype,
            self._memory.device,
            max_version=max_version,
            is_read_only=self.is_read_only,
        )

    def numpy(self) -> npt.NDArray[Any]:
        """Return the elements as an array, without a copy.

        TypeError on a GPU, and for a dtype that numpy does not know: bfloat16 and float8 without
        ml_dtypes imported, and those of 4 and 6 bits.
        """
        if self._memory.device[0] != dlpack.CPU:
            raise TypeError(f"{self!r} is in a GPU's memory: copy it to the host first")
        try:
            dtype = np.dtype(NUMPY[self.dtype])
        except (KeyError, TypeError) as error:
            raise TypeError(f"{self!r}: numpy has no {self.dtype}") from error
        return self._carrier(is_read_only=self.is_read_only).view(dtype)

    def __array__(
        self,
        dtype: npt.DTypeLike | None = None,
        copy: bool | None = None,  # noqa: FBT001 (numpy passes it so)
    ) -> npt.NDArray[Any]:
        """Return the elements for `np.asarray`; a copy where asked, or for another dtype."""
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError(f"{self!r}: as {np.dtype(dtype)} only by a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        """Return the first dimension, as arrays do; TypeError for a scalar."""
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        """Return what and where it is."""
        return f"<Tensor {self.dtype} {list(self.shape)} on {self.device}>"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str:
        """Refuse to be pickled: another process gets the weights from the store."""
        raise TypeError(f"{self!r} cannot be pickled: get it from the store there")

    def _carrier(self, *, is_read_only: bool) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the elements as unsigned integers of their size, wherever they are.

        numpy reads none of them, so the address may be a device's.
        """
        interface = {
            "data": (self.address, is_read_only),
            "shape": self.shape,
            "typestr": f"<u{BITS[self.dtype] // 8}",
            "version": 3,
        }
        return np.asarray(_Lens(self._memory, interface))
