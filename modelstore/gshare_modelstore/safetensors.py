"""Reads the header of safetensors content and writes such content. Pure: bytes in, bytes out.

Content is `u64 length of the header | header, JSON | the tensors' bytes`. The header names each
tensor's dtype, shape and place; together the tensors cover the bytes behind it without a hole or
an overlap, in row-major order, little-endian
(https://huggingface.co/docs/safetensors, section "Format").

`encode` puts tensors in the order of the format's own library (widest dtype first, then by name)
and writes the header as that does. So a mapping and the file that the library makes of it are the
same bytes, have the same digest, and are kept once.

What this refuses beyond the format: headers above `MAX_HEADER_BYTES`, since one comes from anybody
who can reach the store; names with control characters, since the store's index has one a line.
"""

import collections
import json
import math
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from .errors import SafetensorsError

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_HEADER_BYTES: Final = 16 * 2**20
"""About 100,000 tensors; the format's library reads up to 100 MB."""

BITS: Final[Mapping[str, int]] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element of each dtype, in the order that the format's library sorts by."""

_LENGTH: Final = struct.Struct("<Q")
_RANK: Final = {dtype: rank for rank, dtype in enumerate(BITS)}
_METADATA: Final = "__metadata__"
_FIELDS: Final = {"dtype", "shape", "data_offsets"}
_MOST_BYTES: Final = 2**63 - 1
_CONTROL: Final = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, surrogates, ends of lines and paragraphs."""


@dataclass(frozen=True, slots=True)
class TensorSpan:
    """One tensor and where its bytes lie: `offset` counts from the first byte of the content."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


class TensorSource(Protocol):
    """A tensor to be written: what it is, and its bytes, made when they are asked for."""

    @property
    def dtype(self) -> str:
        """A key of `BITS`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis; () for a scalar."""

    def read(self) -> memoryview:
        """Return the elements' bytes, row-major, little-endian, one dimension of format "B"."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Content that is ready to be written, `size_bytes` long, with its tensors at `spans`."""

    head: bytes
    spans: tuple[TensorSpan, ...]
    size_bytes: int
    sources: tuple[TensorSource, ...]

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """Yield the content in order as (offset, bytes); one tensor's bytes exist at a time.

        Raises SafetensorsError where a source's bytes are not as many as it said.
        """
        yield 0, memoryview(self.head)
        for span, source in zip(self.spans, self.sources, strict=True):
            data = source.read()
            if data.nbytes != span.size_bytes:
                raise SafetensorsError(
                    f"tensor {span.name!r}: {data.nbytes} bytes where {span.dtype} "
                    f"{list(span.shape)} has {span.size_bytes}"
                )
            yield span.offset, data


def parse_header(content: Buffer) -> tuple[TensorSpan, ...]:
    """Return the tensors of whole `content`, in the order of their bytes.

    Raises SafetensorsError for anything that is not exactly such content; costs the header's
    length only.
    """
    view = memoryview(content)
    size = view.nbytes
    start = _data_start(view[: _LENGTH.size], size)
    entries = _entries(bytes(view[_LENGTH.size : start]))
    spans = sorted((_span(name, entry, start) for name, entry in entries), key=_place)
    _check_cover(spans, start, size)
    return tuple(spans)


def encode(tensors: Mapping[str, TensorSource]) -> Encoding:
    """Return the content that holds `tensors`; SafetensorsError where one cannot be written."""
    order = sorted(tensors.items(), key=lambda item: (-_rank(*item), item[0]))
    sizes = [_size_bytes(name, each.dtype, each.shape) for name, each in order]
    entries: dict[str, dict[str, Any]] = {}
    begin = 0
    for (name, each), size in zip(order, sizes, strict=True):
        _check_name(name)
        offsets = [begin, begin + size]
        entries[name] = {"dtype": each.dtype, "shape": list(each.shape), "data_offsets": offsets}
        begin += size
    head = _head(entries)
    spans = tuple(_span(name, entry, len(head)) for name, entry in entries.items())
    return Encoding(head, spans, len(head) + begin, tuple(each for _, each in order))


def _head(entries: dict[str, dict[str, Any]]) -> bytes:
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH.size)
    if len(text) > MAX_HEADER_BYTES:
        raise SafetensorsError(f"header of {len(text)} bytes: at most {MAX_HEADER_BYTES}")
    return _LENGTH.pack(len(text)) + text


def _data_start(length: memoryview, size: int) -> int:
    """Return where the tensors' bytes begin in content of `size` bytes."""
    if len(length) < _LENGTH.size:
        raise SafetensorsError(f"{size} bytes: too short for the length of a header")
    header = int(_LENGTH.unpack(length)[0])
    if header > MAX_HEADER_BYTES:
        raise SafetensorsError(f"header of {header} bytes: at most {MAX_HEADER_BYTES}")
    if header > size - _LENGTH.size:
        raise SafetensorsError(f"header of {header} bytes in content of {size} bytes: cut off")
    return _LENGTH.size + header


def _entries(text: bytes) -> list[tuple[str, object]]:
    """Return the header's tensors as (name, entry), as they stand in it."""
    try:
        pairs = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except SafetensorsError:
        raise
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"header is not JSON: {error}") from error
    if not isinstance(pairs, dict) or text[:1] != b"{":
        raise SafetensorsError("header is not a JSON object")
    _check_metadata(pairs.pop(_METADATA, {}))
    return list(pairs.items())


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        names = collections.Counter(name for name, _ in pairs)
        raise SafetensorsError(
            f"header: {_short(names.most_common(1)[0][0])} stands twice in one object"
        )
    return entries


def _no_constant(word: str) -> object:
    raise SafetensorsError(f"header: {word} is not JSON")


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, dict):
        raise SafetensorsError(f"header: {_METADATA} is not an object of texts")
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise SafetensorsError(f"header: {_METADATA}.{_short(name)} is not a text")


def _span(name: str, entry: object, start: int) -> TensorSpan:
    """Return the tensor that `entry` describes; `start` is where the tensors' bytes begin."""
    _check_name(name)
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise SafetensorsError(f"tensor {_short(name)}: wants exactly {', '.join(sorted(_FIELDS))}")
    shape = _numbers(name, "shape", entry["shape"])
    offsets = _numbers(name, "data_offsets", entry["data_offsets"])
    dtype = entry["dtype"]
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise SafetensorsError(f"tensor {_short(name)}: data_offsets {list(offsets)} are no span")
    size = _size_bytes(name, dtype, shape)
    if offsets[1] - offsets[0] != size:
        raise SafetensorsError(
            f"tensor {_short(name)}: data_offsets {list(offsets)} hold "
            f"{offsets[1] - offsets[0]} bytes where {dtype} {_short(list(shape))} has {size}"
        )
    return TensorSpan(name, dtype, shape, start + offsets[0], size)


def _numbers(name: str, field: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise SafetensorsError(f"tensor {_short(name)}: {field} is not a list")
    for each in value:
        if type(each) is not int or not 0 <= each <= _MOST_BYTES:
            raise SafetensorsError(f"tensor {_short(name)}: {field} has {_short(each)}")
    return tuple(value)


def _size_bytes(name: str, dtype: object, shape: tuple[int, ...]) -> int:
    if not isinstance(dtype, str) or dtype not in BITS:
        raise SafetensorsError(f"tensor {_short(name)}: dtype {_short(dtype)} is unknown")
    if 0 in shape:
        return 0
    if sum(each.bit_length() - 1 for each in shape) > 64:  # before the product grows
        raise SafetensorsError(f"tensor {_short(name)}: shape {_short(list(shape))} is too large")
    bits = math.prod(shape) * BITS[dtype]
    if bits % 8 or bits // 8 > _MOST_BYTES:
        raise SafetensorsError(
            f"tensor {_short(name)}: {dtype} {_short(list(shape))} is no whole number of bytes"
        )
    return bits // 8


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or name == _METADATA:
        raise SafetensorsError(f"tensor {_short(name)}: not a name")
    if not name.isprintable() and any(unicodedata.category(each) in _CONTROL for each in name):
        raise SafetensorsError(f"tensor {_short(name)}: the name has a control character")


def _check_cover(spans: list[TensorSpan], start: int, size: int) -> None:
    """Refuse tensors that overlap, leave a hole, or end elsewhere than the content."""
    end = start
    for span in spans:
        if span.offset != end:
            kind = "overlaps" if span.offset < end else "leaves a hole behind"
            raise SafetensorsError(
                f"tensor {_short(span.name)}: at byte {span.offset} {kind} what ends at {end}"
            )
        end += span.size_bytes
    if end != size:
        raise SafetensorsError(f"content of {size} bytes: the header describes {end}")


def _rank(name: str, source: TensorSource) -> int:
    """Return where the tensor's dtype stands in the order of the format's library."""
    if source.dtype not in _RANK:
        raise SafetensorsError(f"tensor {_short(name)}: dtype {_short(source.dtype)} is unknown")
    return _RANK[source.dtype]


def _place(span: TensorSpan) -> tuple[int, int]:
    return span.offset, span.size_bytes


def _short(value: object) -> str:
    """Return `value` for a line of text, however long or odd it is."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
