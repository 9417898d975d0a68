"""Where tensors lie on a device, and the text that says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gshare_modelstore import index, layout
from gshare_modelstore.index import IndexEntry
from gshare_modelstore.protocol import ProtocolError
from gshare_modelstore.safetensors import TensorSpan


def spans(sizes: list[int], start: int = 80) -> list[TensorSpan]:
    found, at = [], start
    for number, size in enumerate(sizes):
        found.append(TensorSpan(f"t{number}", "U8", (size,), at, size))
        at += size
    return found


def test_every_tensor_moves_to_a_multiple_of_256() -> None:
    image = layout.of(spans([4, 300, 0, 5]))

    assert [each.offset for each in image.entries] == [0, 256, 768, 768]
    assert image.size_bytes == 1024


@given(
    sizes=st.lists(st.integers(0, 700), max_size=12),
    window=st.sampled_from([1, 7, 256, 1000]),
)
def test_windows_carry_every_byte_to_its_place(sizes: list[int], window: int) -> None:
    """Copying the windows' pieces gives what copying each tensor whole gives."""
    parts = spans(sizes)
    file = bytes(range(256)) * 40
    image = layout.of(parts)
    wanted = bytearray(image.size_bytes)
    for span, entry in zip(parts, image.entries, strict=True):
        wanted[entry.offset : entry.offset + span.size_bytes] = file[
            span.offset : span.offset + span.size_bytes
        ]

    copied = bytearray(image.size_bytes)
    for begin, size, pieces in image.windows(window):
        buffer = bytearray(size)
        for piece in pieces:
            target = slice(piece.target, piece.target + piece.size_bytes)
            buffer[target] = file[piece.source : piece.source + piece.size_bytes]
        copied[begin : begin + size] = buffer

    assert copied == wanted


def test_an_index_survives_its_text() -> None:
    entries = (
        IndexEntry(0, 24, "F32", (2, 3), "layer 1.weight"),
        IndexEntry(256, 2, "BF16", (), "scale ü"),
        IndexEntry(512, 0, "U8", (0,), "empty"),
    )

    assert index.unpack(index.pack(entries)) == entries


def test_a_scalar_and_a_name_with_spaces_are_one_line() -> None:
    assert index.pack((IndexEntry(256, 2, "BF16", (), "a b"),)) == b"256 2 BF16 - a b\n"


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\ud800"], ids=["line break", "NUL", "surrogate"])
def test_a_name_that_no_line_may_hold_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError, match=r"tensor .* control|tensor .* surrogates"):
        index.pack((IndexEntry(0, 1, "U8", (1,), name),))
