"""Writes a `libcuda.so.1` that stands before the driver's, for images that defeat preloading.

The shim holds no code. It is a shared object that needs two others by their full paths: first the
hook, then the driver. Whoever opens it, links with it, or loads a library that links with it (even
with RTLD_DEEPBIND) finds the hook's functions where there are any and the driver's for all other
names, new ones included. It must bear the name and the soname of the library that it replaces, so
it is written anew for each driver, on the machine that has it; no compiler is needed.
"""

import struct
from pathlib import Path
from typing import Final

from gshare import errors

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_ENTRY: Final = struct.Struct("<QQ")
_SYMBOL_BYTES: Final = 24
_HASH: Final = struct.pack("<4I", 1, 1, 0, 0)
"""One bucket, and one symbol: the undefined one that every table begins with."""
_ELF64: Final = b"\x7fELF\x02\x01\x01"
_SHARED, _LOAD, _DYNAMIC, _STACK, _READ_WRITE, _PAGE = 3, 1, 2, 0x6474E551, 6, 0x1000
_NEEDED, _HASH_AT, _STRINGS_AT, _SYMBOLS_AT, _STRINGS_SIZE, _SYMBOL_SIZE, _SONAME = (
    1, 4, 5, 6, 10, 11, 14,
)  # fmt: skip


def write(path: Path, hook: Path, driver: Path, soname: str = "libcuda.so.1") -> None:
    """Write the shim of `driver`. GshareError where the driver is no 64-bit ELF library."""
    strings, places = _strings(soname, str(hook.resolve()), str(driver.resolve()))
    path.write_bytes(_shared_object(_machine(driver), strings, places))


def _machine(driver: Path) -> int:
    try:
        head = driver.read_bytes()[: _HEADER.size]
    except OSError as error:
        raise errors.GshareError(f"{driver}: {error.strerror}") from error
    if len(head) < _HEADER.size or not head.startswith(_ELF64):
        raise errors.GshareError(f"{driver} is no 64-bit ELF library: no shim can be made for it")
    machine: int = _HEADER.unpack(head)[2]
    return machine


def _strings(*names: str) -> tuple[bytes, list[int]]:
    table, places = b"\0", []
    for name in names:
        places.append(len(table))
        table += name.encode() + b"\0"
    return table, places


def _shared_object(machine: int, strings: bytes, places: list[int]) -> bytes:
    """Return the file: headers, the dynamic section, and the tables that it names."""
    soname, hook, driver = places
    dynamic_at = _HEADER.size + 3 * _SEGMENT.size
    dynamic_bytes = 9 * _ENTRY.size
    symbols_at = dynamic_at + dynamic_bytes
    hash_at = symbols_at + _SYMBOL_BYTES
    strings_at = hash_at + len(_HASH)
    size = strings_at + len(strings)
    dynamic = [
        (_NEEDED, hook), (_NEEDED, driver), (_SONAME, soname), (_HASH_AT, hash_at),
        (_STRINGS_AT, strings_at), (_STRINGS_SIZE, len(strings)), (_SYMBOLS_AT, symbols_at),
        (_SYMBOL_SIZE, _SYMBOL_BYTES), (0, 0),
    ]  # fmt: skip
    header = _HEADER.pack(
        _ELF64, _SHARED, machine, 1, 0, _HEADER.size, 0, 0, _HEADER.size, _SEGMENT.size, 3, 0, 0, 0
    )
    segments = [
        (_LOAD, _READ_WRITE, 0, 0, 0, size, size, _PAGE),
        (_DYNAMIC, _READ_WRITE, *[dynamic_at] * 3, dynamic_bytes, dynamic_bytes, 8),
        (_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16),
    ]
    return b"".join(
        [
            header,
            *(_SEGMENT.pack(*segment) for segment in segments),
            *(_ENTRY.pack(*entry) for entry in dynamic),
            bytes(_SYMBOL_BYTES),
            _HASH,
            strings,
        ]
    )
