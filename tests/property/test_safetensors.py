"""Content that we write is what the format's own library writes, and each reads the other's."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gshare_modelstore import client_arrays, safetensors
from gshare_modelstore.safetensors import SafetensorsError
from gshare_modelstore.tensors import NUMPY

library = pytest.importorskip("safetensors.numpy")

DTYPES = ["bool", "uint8", "int8", "int16", "uint16", "float16", "int32", "uint32", "float32",
          "complex64", "float64", "int64", "uint64"]  # fmt: skip
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8)
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays.arrays(
        dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    )
)
MAPPINGS = st.dictionaries(NAMES.filter(lambda name: name != "__metadata__"), ARRAYS, max_size=5)


def encoded(mapping: dict[str, np.ndarray]) -> bytes:
    encoding = safetensors.encode(client_arrays.read_all(mapping))
    raw = bytearray(encoding.size_bytes)
    for offset, piece in encoding.pieces():
        raw[offset : offset + piece.nbytes] = piece
    return bytes(raw)


@given(MAPPINGS)
def test_a_mapping_and_the_librarys_file_of_it_are_the_same_bytes(mapping: dict[str, np.ndarray]):
    """So both have one digest, and a store keeps them once."""
    assert encoded(mapping) == library.save(mapping)


@given(MAPPINGS)
def test_the_library_reads_what_we_write(mapping: dict[str, np.ndarray]):
    read = library.load(encoded(mapping))

    assert read.keys() == mapping.keys()
    for name, array in mapping.items():
        assert read[name].tobytes() == array.tobytes()


@given(MAPPINGS)
def test_what_the_library_writes_is_found_again(mapping: dict[str, np.ndarray]):
    raw = library.save(mapping)

    spans = safetensors.parse_header(raw)

    assert {span.name for span in spans} == mapping.keys()
    for span in spans:
        array = mapping[span.name]
        assert NUMPY[span.dtype] == array.dtype.name
        assert span.shape == array.shape
        assert raw[span.offset : span.offset + span.size_bytes] == array.tobytes()


@given(MAPPINGS, st.data())
def test_a_changed_byte_of_the_header_gives_an_error_or_sound_spans(
    mapping: dict[str, np.ndarray], data: st.DataObject
):
    """Whatever the header says, no span leaves the content or meets another."""
    raw = bytearray(library.save(mapping))
    end = 8 + int.from_bytes(raw[:8], "little")
    raw[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))

    try:
        spans = safetensors.parse_header(raw)
    except SafetensorsError:
        return

    assert all(
        one.offset + one.size_bytes == other.offset for one, other in itertools.pairwise(spans)
    )
    assert not spans or spans[-1].offset + spans[-1].size_bytes == len(raw)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_error_or_spans(raw: bytes):
    try:
        spans = safetensors.parse_header(raw)
    except SafetensorsError:
        return

    assert all(span.offset + span.size_bytes <= len(raw) for span in spans)
