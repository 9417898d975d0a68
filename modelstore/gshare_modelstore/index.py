"""The index of weights: where each tensor lies in a mapping. Text, one line a tensor. Pure.

`offset bytes dtype shape name`, told in `gshare/store_wire.h`. Free of the rest of gshare, as
protocol.py is.
"""

from dataclasses import dataclass
from typing import Final

from .protocol import ProtocolError

DEVICE_ALIGNMENT: Final = 256
"""Every tensor on a device begins at a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One tensor of an index: where it lies in the mapping, and what it is."""

    offset: int
    size_bytes: int
    dtype: str
    shape: tuple[int, ...]
    name: str


def pack(entries: tuple[IndexEntry, ...]) -> bytes:
    """Return the text of an index. Raises ProtocolError for a name that no line may hold."""
    try:
        return "".join(map(_line, entries)).encode()
    except UnicodeEncodeError as error:
        raise ProtocolError(f"tensor {error.object[error.start :]!r}: {error.reason}") from error


def unpack(text: bytes) -> tuple[IndexEntry, ...]:
    """Read an index. Raises ProtocolError."""
    try:
        return tuple(map(_entry, text.decode().split("\n")[:-1]))
    except ValueError as error:
        raise ProtocolError(f"index of weights: {error}") from error


def _line(entry: IndexEntry) -> str:
    if any(character < " " for character in entry.name):
        raise ProtocolError(f"tensor {entry.name!r}: a name may not hold control characters")
    shape = "x".join(map(str, entry.shape)) or "-"
    return f"{entry.offset} {entry.size_bytes} {entry.dtype} {shape} {entry.name}\n"


def _entry(line: str) -> IndexEntry:
    offset, size, dtype, shape, name = line.split(" ", 4)
    sides = () if shape == "-" else tuple(map(int, shape.split("x")))
    return IndexEntry(int(offset), int(size), dtype, sides, name)
