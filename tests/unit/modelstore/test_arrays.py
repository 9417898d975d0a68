"""Arrays of loaders, whatever made them, become safetensors of the right dtype and bytes."""

import array
import sys
import types

import numpy as np
import pytest

from gshare_modelstore import client_arrays
from gshare_modelstore.errors import SafetensorsError
from gshare_modelstore.tensors import NUMPY


class OnDevice:
    """What CuPy or Numba show of an array in a GPU's memory."""

    def __init__(self, typestr: str = "<f4", strides: tuple[int, ...] | None = None) -> None:
        self.__cuda_array_interface__ = {
            "shape": (2, 3),
            "typestr": typestr,
            "data": (0, False),
            "strides": strides,
            "version": 3,
        }


class OnlyDlpack:
    """An array that knows DLPack and nothing else."""

    def __init__(self, values: list[float]) -> None:
        self._array = np.array(values, np.float32)

    def __dlpack__(self, **wanted: object) -> object:
        """Return numpy's capsule."""
        return self._array.__dlpack__(**wanted)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the host."""
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("name", [name for name in NUMPY.values() if name in vars(np)])
def test_numpys_dtypes_have_their_names(name: str):
    read = client_arrays.read("w", np.zeros((2, 3), name))

    assert NUMPY[read.dtype] == name
    assert read.shape == (2, 3)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.arange(6, dtype=np.int32).reshape(2, 3).T, id="transposed"),
        pytest.param(np.arange(12, dtype=np.int32)[::2], id="every other element"),
        pytest.param(np.arange(6, dtype=">i4"), id="big-endian"),
        pytest.param(np.int32(7), id="a scalar"),
        pytest.param(np.zeros((0, 3), np.int32), id="empty"),
        pytest.param(np.broadcast_to(np.int32(3), (4, 4)), id="broadcast"),
        pytest.param(memoryview(np.arange(3, dtype=np.int32)), id="a buffer"),
        pytest.param(array.array("i", [1, 2, 3]), id="Python's array"),
    ],
)
def test_elements_are_row_major_and_little_endian_whatever_they_were(values):
    read = client_arrays.read("w", values)

    expected = np.asarray(values)
    assert (read.dtype, read.shape) == ("I32", expected.shape)
    assert bytes(read.read()) == expected.astype("<i4").tobytes()


def test_a_contiguous_array_is_not_copied():
    values = np.arange(6, dtype=np.float32)

    read = client_arrays.read("w", values)

    assert np.shares_memory(read.host, values)


def test_an_array_that_knows_only_dlpack_is_read():
    read = client_arrays.read("w", OnlyDlpack([1, 2]))

    assert bytes(read.read()) == np.array([1, 2], np.float32).tobytes()


def test_a_tensor_of_ours_is_read_without_a_copy_whatever_its_dtype():
    values = np.arange(4, dtype=np.uint16)
    tensor = client_arrays.read("w", values).tensor()
    tensor.dtype = "BF16"

    read = client_arrays.read("again", tensor)

    assert (read.dtype, read.shape) == ("BF16", (4,))
    assert bytes(read.read()) == values.tobytes()


def test_device_memory_stays_where_it_is():
    read = client_arrays.read("w", OnDevice())

    assert (read.dtype, read.shape, read.host) == ("F32", (2, 3), None)


def test_strides_of_a_row_major_array_do_no_harm():
    assert client_arrays.read("w", OnDevice(strides=(12, 4))).dtype == "F32"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param([1.0, 2.0], "list is no array", id="a list"),
        pytest.param("weights", "str is no array", id="a text"),
        pytest.param(None, "NoneType is no array", id="nothing"),
        pytest.param(np.array(["a"]), "<U1 is no safetensors dtype", id="texts"),
        pytest.param(np.array([None]), "object is no safetensors dtype", id="objects"),
        pytest.param(np.zeros(1, np.complex128), "complex128 is no", id="double complex"),
        pytest.param(np.array(["2026"], "M8[Y]"), r"datetime64\[Y\] is no", id="dates"),
        pytest.param(OnDevice("<M8"), "<M8 is no safetensors dtype", id="dates on a device"),
        pytest.param(OnDevice(strides=(4, 8)), "not row-major", id="transposed on a device"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(value: object, said: str):
    with pytest.raises(SafetensorsError, match=said) as caught:
        client_arrays.read("layer.0", value)

    assert "'layer.0'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loader_that_returns_no_mapping_is_told_what_would_do():
    with pytest.raises(SafetensorsError, match="returned list: wants arrays by name"):
        client_arrays.read_all([np.zeros(1)])


def test_names_are_texts():
    with pytest.raises(SafetensorsError, match="tensor 0: the name is no text"):
        client_arrays.read_all({0: np.zeros(1)})


class FakeTorchTensor:
    """What the client uses of torch.Tensor, on numpy."""

    def __init__(self, values: np.ndarray, dtype: str, shape: tuple[int, ...]) -> None:
        self._values, self.dtype, self.shape = values, dtype, shape
        self.device = types.SimpleNamespace(type="cpu")

    def detach(self) -> "FakeTorchTensor":
        return self

    def contiguous(self) -> "FakeTorchTensor":
        return self

    def reshape(self, _size: int) -> "FakeTorchTensor":
        return self

    def view(self, dtype: object) -> "FakeTorchTensor":
        assert dtype == "torch.uint8"
        return self

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        """Return the bytes."""
        return self._values.view(np.uint8)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "bool", "int64"])
def test_pytorchs_tensors_are_read_as_bytes_of_their_dtype(
    monkeypatch: pytest.MonkeyPatch, dtype: str
):
    monkeypatch.setattr(FakeTorchTensor, "__module__", "torch.nn.parameter")
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(uint8="torch.uint8"))
    values = np.arange(2, dtype=np.uint64)

    read = client_arrays.read("w", FakeTorchTensor(values, f"torch.{dtype}", (2,)))

    assert NUMPY[read.dtype] == dtype
    assert read.shape == (2,)
    assert bytes(read.read()) == values.tobytes()


def test_a_dtype_of_pytorch_that_the_format_has_not_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FakeTorchTensor, "__module__", "torch")

    with pytest.raises(SafetensorsError, match=r"torch\.quint8 is no safetensors dtype"):
        client_arrays.read("w", FakeTorchTensor(np.zeros(1), "torch.quint8", (1,)))
