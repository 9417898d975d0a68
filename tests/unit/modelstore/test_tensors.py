"""Tensors show memory that others keep, without a copy and without the right to write."""

import ctypes
import gc
import pickle
import weakref

import numpy as np
import pytest

from gshare_modelstore import client_memory, dlpack
from gshare_modelstore.client_memory import HostMemory
from gshare_modelstore.tensors import NUMPY, Tensor


class DeviceMemory:
    """Memory of a device that is not here: nobody may read it."""

    address = 0x7000_0000_0000
    device = (dlpack.CUDA, 1)
    is_read_only = True


def held(array: np.ndarray, *, is_read_only: bool = True) -> HostMemory:
    return HostMemory(array, array.ctypes.data, is_read_only=is_read_only)


def on_host(*values: float) -> Tensor:
    array = np.array(values, np.float32)
    return Tensor(held(array), 0, "F32", array.shape)


def described(capsule: object) -> dlpack._Tensor:
    name = dlpack._name_of(capsule)
    offset = dlpack._TENSOR_OFFSETS[name]
    return dlpack._Tensor.from_address(dlpack._pointer_of(capsule, name) + offset)


def test_numpy_sees_the_memory_itself():
    array = np.arange(6, dtype=np.float32)
    tensor = Tensor(held(array), 8, "F32", (2, 2))

    shown = tensor.numpy()
    array[2] = 9

    assert shown.tolist() == [[9, 3], [4, 5]]
    assert shown.ctypes.data == tensor.address


@pytest.mark.parametrize("show", [np.asarray, np.from_dlpack, Tensor.numpy])
def test_nobody_may_write_through_numpy(show):
    shown = show(on_host(1, 2))

    assert not shown.flags.writeable


@pytest.mark.parametrize("show", [np.asarray, np.from_dlpack, Tensor.__dlpack__])
def test_what_is_made_of_a_tensor_keeps_the_memory_alive(show):
    tensor = on_host(1, 2)
    memory = weakref.ref(tensor._memory)

    shown = show(tensor)
    del tensor
    gc.collect()

    assert memory() is not None
    del shown
    gc.collect()
    assert memory() is None


def test_a_capsule_of_version_one_says_that_it_is_read_only():
    capsule = on_host(1).__dlpack__(max_version=(1, 0))

    flags = ctypes.c_uint64.from_address(dlpack._pointer_of(capsule, b"dltensor_versioned") + 24)
    assert flags.value & 1


def test_older_consumers_get_the_capsule_that_they_know():
    assert dlpack._name_of(on_host(1).__dlpack__()) == b"dltensor"
    assert dlpack._name_of(on_host(1).__dlpack__(max_version=(0, 8))) == b"dltensor"


@pytest.mark.parametrize("version", [None, (1, 0)], ids=["unversioned", "version 1"])
def test_a_capsule_of_device_memory_names_device_and_dtype_and_reads_nothing(version):
    tensor = Tensor(DeviceMemory(), 256, "BF16", (2, 3))

    capsule = tensor.__dlpack__(max_version=version)
    found = described(capsule)

    assert found.data == DeviceMemory.address + 256
    assert (found.device_type, found.device_id) == (2, 1) == tensor.__dlpack_device__()
    assert (found.code, found.bits, found.lanes, found.ndim) == (4, 16, 1, 2)


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMPY if dtype in dlpack._CODES])
def test_a_capsule_has_the_bits_of_its_dtype(dtype: str):
    array = np.zeros(2, np.uint64)

    capsule = Tensor(held(array), 0, dtype, (2,)).__dlpack__()

    assert described(capsule).bits == dlpack.BITS[dtype]


def test_dtypes_that_numpy_has_come_back_through_dlpack():
    values = {"BOOL": [True, False], "I16": [-1, 2], "F16": [0.5, 2], "C64": [1j, 2], "U64": [1, 2]}

    for dtype, expected in values.items():
        array = np.array(expected, NUMPY[dtype])
        shown = np.from_dlpack(Tensor(held(array), 0, dtype, (2,)))

        assert shown.dtype == array.dtype
        assert shown.tolist() == array.tolist()


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"copy": True}, id="a copy"),
        pytest.param({"dl_device": (2, 0)}, id="another device"),
    ],
)
def test_what_would_need_a_copy_is_refused(wanted: dict):
    with pytest.raises(BufferError):
        on_host(1).__dlpack__(**wanted)


def test_scalars_and_empty_tensors_are_shown():
    scalar = Tensor(held(np.array([3.0], np.float32)), 0, "F32", ())
    empty = Tensor(held(np.zeros(1, np.float32)), 0, "F32", (0, 4))

    assert float(np.from_dlpack(scalar)) == 3.0
    assert np.from_dlpack(empty).shape == (0, 4)
    assert empty.size_bytes == 0


def test_a_dtype_that_numpy_does_not_know_is_a_type_error_that_says_so():
    with pytest.raises(TypeError, match="numpy has no BF16"):
        Tensor(held(np.zeros(1, np.float32)), 0, "BF16", (2,)).numpy()


def test_device_memory_is_shown_by_the_cuda_array_interface():
    shown = Tensor(DeviceMemory(), 512, "F16", (2, 3)).__cuda_array_interface__

    assert shown["data"] == (DeviceMemory.address + 512, True)
    assert (shown["typestr"], shown["shape"], shown["version"]) == ("<f2", (2, 3), 3)


def test_an_empty_tensor_on_a_device_has_no_address():
    """As the interface wants it."""
    assert Tensor(DeviceMemory(), 0, "F16", (0,)).__cuda_array_interface__["data"][0] == 0


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(on_host(1), id="host memory"),
        pytest.param(Tensor(DeviceMemory(), 0, "BF16", (1,)), id="bfloat16"),
    ],
)
def test_what_the_cuda_array_interface_cannot_show_has_none(tensor: Tensor):
    assert not hasattr(tensor, "__cuda_array_interface__")


def test_device_memory_is_not_numpys():
    with pytest.raises(TypeError, match="GPU's memory"):
        np.asarray(Tensor(DeviceMemory(), 0, "F32", (1,)))


def test_numpy_converts_by_a_copy_where_it_is_asked_to():
    tensor = on_host(1, 2)

    assert np.asarray(tensor, dtype=np.int64).tolist() == [1, 2]
    with pytest.raises(ValueError, match="only by a copy"):
        tensor.__array__(np.int64, copy=False)


def test_tensors_are_not_pickled_into_other_processes():
    with pytest.raises(TypeError, match="get it from the store there"):
        pickle.dumps(on_host(1))


def test_a_loaders_own_array_may_be_written():
    array = np.zeros(2, np.float32)

    Tensor(client_memory.of_array(array), 0, "F32", (2,)).numpy()[0] = 5

    assert array[0] == 5
