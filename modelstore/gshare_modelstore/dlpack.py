"""Makes DLPack capsules of memory that somebody else keeps: numpy makes them, this corrects them.

A capsule's deleter runs on any thread, with or without the interpreter's lock, even while the
interpreter ends. numpy's is written in C for that; one written in Python would not survive it. So
numpy exports an array of plain integers over the memory, and what it cannot know is written into
the capsule: the device that the address belongs to, and the dtype, numpy having no bfloat16.
Layouts: https://dmlc.github.io/dlpack/latest/c_api.html.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from .safetensors import BITS

CPU: Final = 1
CUDA: Final = 2

_INT, _UINT, _FLOAT, _BFLOAT, _COMPLEX, _BOOL = 0, 1, 2, 4, 5, 6
_CODES: Final = {
    "BOOL": _BOOL,
    "U8": _UINT,
    "I8": _INT,
    "F8_E4M3": 10,
    "F8_E4M3FNUZ": 11,
    "F8_E5M2": 12,
    "F8_E5M2FNUZ": 13,
    "F8_E8M0": 14,
    "I16": _INT,
    "U16": _UINT,
    "F16": _FLOAT,
    "BF16": _BFLOAT,
    "I32": _INT,
    "U32": _UINT,
    "F32": _FLOAT,
    "C64": _COMPLEX,
    "F64": _FLOAT,
    "I64": _INT,
    "U64": _UINT,
}
"""DLDataTypeCode of each dtype; those of 4 and 6 bits have none that numpy's arrays could carry."""

_UNVERSIONED: Final = b"dltensor"
_VERSIONED: Final = b"dltensor_versioned"
_TENSOR_OFFSETS: Final = {_UNVERSIONED: 0, _VERSIONED: 32}
"""Where the DLTensor stands: first, or behind version, context, deleter and flags."""

_name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

Carrier: TypeAlias = Callable[..., npt.NDArray[np.unsignedinteger[Any]]]
"""Returns the memory as unsigned integers; `is_read_only` says whether as read-only ones."""


class _Tensor(ctypes.Structure):
    """The head of a DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    )


def capsule(
    carrier: Carrier,
    dtype: str,
    device: tuple[int, int],
    *,
    max_version: tuple[int, int] | None,
    is_read_only: bool,
) -> object:
    """Return a capsule of the memory as `dtype` on `device` (type and ordinal).

    Read-only memory says so where the consumer reads versioned capsules and numpy (2.1) makes
    them. An older capsule cannot; there a write faults. BufferError for a dtype without a code.
    """
    if dtype not in _CODES:
        raise BufferError(f"{dtype} has no DLPack type that this could export")
    made = None
    if max_version and max_version[0] >= 1:
        made = _versioned(carrier, is_read_only=is_read_only)
    if made is None:
        made = carrier(is_read_only=False).__dlpack__()
    name = _name_of(made)
    tensor = _Tensor.from_address(_pointer_of(made, name) + _TENSOR_OFFSETS[name])
    tensor.device_type, tensor.device_id = device
    tensor.code, tensor.bits = _CODES[dtype], BITS[dtype]
    return made


def _versioned(carrier: Carrier, *, is_read_only: bool) -> object | None:
    try:
        return carrier(is_read_only=is_read_only).__dlpack__(max_version=(1, 0))
    except TypeError:  # numpy before 2.1
        return None
