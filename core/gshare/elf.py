"""Reads what a shared library exports, as the dynamic loader sees it. Pure.

Section headers may be stripped or wrong; the loader does not look at them, nor does this. The
formats are those of the ELF gABI, chapters 4 and 5, for 64 bits and little-endian machines.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

X86_64: Final = 62
AARCH64: Final = 183

_IDENT: Final = b"\x7fELF\x02\x01\x01"
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_ENTRY: Final = struct.Struct("<qQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_WORD: Final = struct.Struct("<I")
_SHARED, _LOAD, _DYNAMIC = 3, 1, 2
_HASH, _STRINGS, _SYMBOLS, _SONAME, _GNU_HASH, _VERSIONS = 4, 5, 6, 14, 0x6FFFFEF5, 0x6FFFFFF0
_FUNCTIONS: Final = frozenset({2, 10})
"""STT_FUNC and STT_GNU_IFUNC: a look-up of the latter answers with a function too."""
_VISIBLE: Final = frozenset({0, 3})
"""STV_DEFAULT and STV_PROTECTED."""
_LOCAL, _HIDDEN_VERSION, _NO_VERSION = 0, 0x8000, 1


@dataclass(frozen=True, slots=True)
class Export:
    """A name that a library exports. `version` is the number of its version, 0 for none."""

    name: str
    is_function: bool
    version: int = 0


@dataclass(frozen=True, slots=True)
class Library:
    """A shared library: the machine it is for, its own name (may be empty), what it exports."""

    machine: int
    soname: str
    exports: tuple[Export, ...]


def read(content: bytes) -> Library:
    """Return what the bytes of a shared library say; ValueError where they are none."""
    try:
        return _read(content)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"is cut short or damaged ({error})") from error


def _read(content: bytes) -> Library:
    if not content.startswith(_IDENT):
        raise ValueError("is no 64-bit little-endian ELF library")
    header = _HEADER.unpack_from(content)
    if header[1] != _SHARED:
        raise ValueError("is no shared library")
    image = _Image(content, header)
    soname = image.text(image.tags[_SONAME]) if _SONAME in image.tags else ""
    return Library(header[2], soname, tuple(image.exports()))


class _Image:
    """A library's bytes, by the addresses that they have when loaded."""

    def __init__(self, content: bytes, header: tuple[int, ...]) -> None:
        self._content = content
        start, size, count = header[5], header[9], header[10]
        segments = [_SEGMENT.unpack_from(content, start + i * size) for i in range(count)]
        self._loads: list[tuple[int, int, int]] = [
            (s[3], s[2], s[5]) for s in segments if s[0] == _LOAD
        ]
        dynamic = next((s for s in segments if s[0] == _DYNAMIC), None)
        if dynamic is None:
            raise ValueError("has no dynamic section")
        entries = _ENTRY.iter_unpack(content[dynamic[2] : dynamic[2] + dynamic[5]])
        self.tags: dict[int, int] = {}
        for tag, value in entries:
            if tag == 0:
                break
            self.tags[tag] = value
        self._strings = self._tag(_STRINGS, "string table")
        self._symbols = self._tag(_SYMBOLS, "symbol table")

    def text(self, at: int) -> str:
        """Return the string that begins `at` so many bytes into the string table."""
        start = self._strings + at
        end = self._content.find(b"\0", start)
        if end < 0:
            raise IndexError("a name has no end")
        return self._content[start:end].decode("ascii")

    def exports(self) -> Iterator[Export]:
        """Yield all names that others can find, each version of a name by itself."""
        for number in range(1, self._symbol_count()):
            at = self._symbols + number * _SYMBOL.size
            name, info, other, section, _, _ = _SYMBOL.unpack_from(self._content, at)
            version = self._version(number)
            if info >> 4 == _LOCAL or other & 3 not in _VISIBLE or section == 0 or version is None:
                continue
            yield Export(self.text(name), info & 15 in _FUNCTIONS, version)

    def _tag(self, tag: int, what: str) -> int:
        """Return where in the file a table lies."""
        if tag not in self.tags:
            raise ValueError(f"has no {what}")
        address = self.tags[tag]
        for start, offset, size in self._loads:
            if start <= address < start + size:
                return offset + address - start
        raise ValueError(f"has no {what} in its file")

    def _word(self, at: int) -> int:
        word: int = _WORD.unpack_from(self._content, at)[0]
        return word

    def _version(self, number: int) -> int | None:
        """Return a symbol's version, 0 for none; None where the symbol is not for others."""
        if _VERSIONS not in self.tags:
            return 0
        at = self._tag(_VERSIONS, "table of versions") + 2 * number
        (written,) = struct.unpack_from("<H", self._content, at)
        version = int(written) & ~_HIDDEN_VERSION
        if version == 0:
            return None
        return 0 if version == _NO_VERSION else version

    def _symbol_count(self) -> int:
        """Return how many symbols there are, which only the hash tables tell."""
        if _HASH in self.tags:
            return self._word(self._tag(_HASH, "hash table") + 4)
        at = self._tag(_GNU_HASH, "hash table")
        buckets, first, bloom_words, _ = struct.unpack_from("<4I", self._content, at)
        bucket_at = at + 16 + 8 * bloom_words
        last = max((self._word(bucket_at + 4 * i) for i in range(buckets)), default=0)
        if last < first:
            return int(first)
        chain_at = bucket_at + 4 * buckets
        while not self._word(chain_at + 4 * (last - first)) & 1:
            last += 1
        return last + 1
