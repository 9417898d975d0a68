"""Builds a library that stands in a driver's place and has the hook answer for it. Pure.

The shim bears the driver's soname and exports every function that the driver exports. Each is one
jump through a table. The shim needs hook and driver by their full paths, so both are loaded with
it, and when it is loaded it has the hook fill the table (`gshare_shim_fill`): with the hook's own
function where it has one, else with the driver's. So whoever finds a name in the shim, by a link,
by dlsym, or by reading its symbol table, finds the hook's; and the environment has no say.

A name that stands in the driver alone is still found by those who ask the loader for it, since the
driver comes behind the shim: variables, which no jump can stand for, and functions of a driver that
is newer than its shim. A name with a version is refused, as what asks for it would pass us by.

The file, by addresses, which are also its offsets:

  headers | .hash .dynsym .dynstr .rela.dyn .text | .dynamic .data (next page) | section names
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gshare.elf import Library
from gshare.shim_code import JUMP_BYTES, SETUP_BYTES, Machine, machine_of

FILL: Final = "gshare_shim_fill"

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_ENTRY: Final = struct.Struct("<qQ")
_SYMBOL: Final = struct.Struct("<IBBHQQ")
_RELOCATION: Final = struct.Struct("<QQq")
_IDENT: Final = b"\x7fELF\x02\x01\x01"
_GLOBAL_FUNCTION: Final = 0x12
_TEXT_SECTION: Final = 5
_SEGMENTS: Final = 4
_TAGS: Final = 14
_SLOT_BYTES: Final = 8


def build(driver: Library, hook_path: str, driver_path: str) -> bytes:
    """Return the shim of `driver`; the paths are those where the shim is used.

    ValueError, with what is wrong about the driver, where no shim can stand for it.
    """
    if not driver.soname:
        raise ValueError("has no soname")
    names = _forwarded(driver)
    machine = machine_of(driver.machine, len(names))
    return _File(machine, names, driver.soname, hook_path, driver_path).content()


def _forwarded(driver: Library) -> tuple[str, ...]:
    for export in driver.exports:
        if export.version and export.is_function:
            raise ValueError(f"exports {export.name} with a version, which no shim can forward")
    names = tuple(dict.fromkeys(each.name for each in driver.exports if each.is_function))
    if not names:
        raise ValueError("exports no function")
    return names


@dataclass(frozen=True, slots=True)
class _Part:
    """A section: name, address, content, and what its header says (type, flags, link, ...)."""

    name: str
    address: int
    content: bytes
    kind: int
    flags: int = 2
    link: int = 0
    info: int = 0
    entry_bytes: int = 0

    @property
    def end(self) -> int:
        return self.address + len(self.content)


class _File:
    """The parts of a shim, each placed behind the last."""

    def __init__(
        self, machine: Machine, names: tuple[str, ...], soname: str, hook: str, driver: str
    ) -> None:
        self._machine = machine
        self._names = names
        # The forwarded names come first, in a row: the hook reads them there.
        self._strings, self._places = _strings((*names, FILL, soname, hook, driver))
        count = len(names)
        start = _HEADER.size + _SEGMENTS * _SEGMENT.size
        self._hash = _Part(".hash", start, _hash_table((FILL, *names)), 5, link=2, entry_bytes=4)
        symbols_at = _aligned(self._hash.end, 8)
        strings_at = symbols_at + (count + 2) * _SYMBOL.size
        relocation_at = _aligned(strings_at + len(self._strings), 8)
        self._text_at = _aligned(relocation_at + _RELOCATION.size, 64)
        text_end = self._text_at + SETUP_BYTES + count * JUMP_BYTES
        dynamic_at = _aligned(text_end, machine.page_bytes)
        self._function_at = dynamic_at + _TAGS * _ENTRY.size
        self._symbols = _Part(
            ".dynsym", symbols_at, self._symbol_table(), 11, 2, 3, 1, _SYMBOL.size
        )
        self._string_part = _Part(".dynstr", strings_at, self._strings, 3)
        self._relocation = _Part(
            ".rela.dyn", relocation_at, self._relocations(), 4, 2, 2, 0, _RELOCATION.size
        )
        self._text = _Part(".text", self._text_at, self._code(), 1, 6)
        self._dynamic = _Part(".dynamic", dynamic_at, self._tags(), 6, 3, 3, 0, _ENTRY.size)
        table = bytes(_SLOT_BYTES * (1 + count))
        self._data = _Part(".data", self._function_at, table, 1, 3)

    def content(self) -> bytes:
        """Return the whole file."""
        parts = [
            self._hash, self._symbols, self._string_part, self._relocation, self._text,
            self._dynamic, self._data,
        ]  # fmt: skip
        labels, places = _strings([*(part.name for part in parts), ".shstrtab"])
        parts.append(_Part(".shstrtab", self._data.end, labels, 3, 0))
        sections_at = _aligned(parts[-1].end, 8)
        whole = bytearray(sections_at + _SECTION.size * (len(parts) + 1))
        head = self._header(sections_at, len(parts) + 1) + self._segments()
        whole[: len(head)] = head
        for number, (part, label) in enumerate(zip(parts, places, strict=True), 1):
            whole[part.address : part.end] = part.content
            at = sections_at + number * _SECTION.size
            whole[at : at + _SECTION.size] = _SECTION.pack(
                label, part.kind, part.flags, part.address if part.flags else 0, part.address,
                len(part.content), part.link, part.info, 8, part.entry_bytes,
            )  # fmt: skip
        return bytes(whole)

    def _place(self, index: int) -> int:
        """Return where a string lies: 0-3 are fill, soname, hook, driver."""
        return self._places[len(self._names) + index]

    def _header(self, sections_at: int, section_count: int) -> bytes:
        return _HEADER.pack(
            _IDENT, 3, self._machine.number, 1, 0, _HEADER.size, sections_at, 0, _HEADER.size,
            _SEGMENT.size, _SEGMENTS, _SECTION.size, section_count, section_count - 1,
        )  # fmt: skip

    def _segments(self) -> bytes:
        code_bytes = self._text.end
        at, size = self._dynamic.address, self._data.end - self._dynamic.address
        tags = len(self._dynamic.content)
        page = self._machine.page_bytes
        return b"".join(
            _SEGMENT.pack(*segment)
            for segment in (
                (1, 5, 0, 0, 0, code_bytes, code_bytes, page),
                (1, 6, at, at, at, size, size, page),
                (2, 6, at, at, at, tags, tags, 8),
                (0x6474E551, 6, 0, 0, 0, 0, 0, 16),  # a stack that is not executable
            )
        )

    def _jump_at(self, index: int) -> int:
        return self._text_at + SETUP_BYTES + index * JUMP_BYTES

    def _symbol_table(self) -> bytes:
        fill = _SYMBOL.pack(self._place(0), _GLOBAL_FUNCTION, 0, 0, 0, 0)
        jumps = (
            _SYMBOL.pack(
                place, _GLOBAL_FUNCTION, 0, _TEXT_SECTION, self._jump_at(index), JUMP_BYTES
            )
            for index, place in enumerate(self._places[: len(self._names)])
        )
        return bytes(_SYMBOL.size) + fill + b"".join(jumps)

    def _relocations(self) -> bytes:
        return _RELOCATION.pack(self._function_at, 1 << 32 | self._machine.glob_dat, 0)

    def _code(self) -> bytes:
        strings, table = self._string_part.address, self._function_at + _SLOT_BYTES
        arguments = (strings + self._place(3), strings + self._place(1), strings + 1, table)
        count = len(self._names)
        code = self._machine.setup(self._text_at, arguments, count, self._function_at)
        return code + b"".join(
            self._machine.jump(self._jump_at(index), table + _SLOT_BYTES * index)
            for index in range(count)
        )

    def _tags(self) -> bytes:
        tags = (
            (1, self._place(2)),  # DT_NEEDED: the hook goes before the driver
            (1, self._place(3)),
            (14, self._place(1)),  # DT_SONAME
            (12, self._text_at),  # DT_INIT
            (4, self._hash.address),
            (5, self._string_part.address),
            (6, self._symbols.address),
            (10, len(self._strings)),
            (11, _SYMBOL.size),
            (7, self._relocation.address),
            (8, _RELOCATION.size),
            (9, _RELOCATION.size),
            (30, 8),  # DT_FLAGS: DF_BIND_NOW
            (0, 0),
        )
        return b"".join(_ENTRY.pack(*tag) for tag in tags)


def _strings(texts: Sequence[str]) -> tuple[bytes, tuple[int, ...]]:
    """Return a string table, and where each text begins in it."""
    table, places = bytearray(b"\0"), []
    for text in texts:
        places.append(len(table))
        table += text.encode() + b"\0"
    return bytes(table), tuple(places)


def _hash_table(names: Sequence[str]) -> bytes:
    """Return the System V hash table of symbols 1, 2, ...; symbol 0 has no name."""
    buckets, chain = [0] * (len(names) | 1), [0] * (len(names) + 1)
    for number, name in enumerate(names, 1):
        bucket = _hash(name) % len(buckets)
        chain[number], buckets[bucket] = buckets[bucket], number
    words = [len(buckets), len(chain), *buckets, *chain]
    return struct.pack(f"<{len(words)}I", *words)


def _hash(name: str) -> int:
    value = 0
    for letter in name.encode():
        value = (value << 4) + letter
        value = (value ^ (value >> 24 & 0xF0)) & 0x0FFFFFFF
    return value


def _aligned(address: int, to: int) -> int:
    return -(-address // to) * to
