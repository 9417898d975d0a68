"""The machine code of a shim: jumps through a table, and the call that has the hook fill it. Pure.

Every jump is SLOT_BYTES long and begins with a landing pad, which costs nothing where branches are
not checked. `setup` passes what the hook's `gshare_shim_fill` takes (hook/src/hook/shim.h): driver,
soname, names, table, count.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gshare import elf

JUMP_BYTES: Final = 16
SETUP_BYTES: Final = 64
_PAGE_BITS: Final = 12
_MOST_NAMES: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Machine:
    """How code is written for one kind of machine."""

    number: int
    page_bytes: int
    """What segments are aligned to: the largest page that its kernels use."""
    glob_dat: int
    """The relocation that stores a symbol's address."""
    jump: Callable[[int, int], bytes]
    """From the jump's address and that of its slot to the jump."""
    setup: Callable[[int, Sequence[int], int, int], bytes]
    """From its address, those of the first four arguments, the fifth, and the function's slot."""


def _x86_jump(at: int, slot: int) -> bytes:
    """`endbr64; jmp *slot(%rip)`."""
    code = b"\xf3\x0f\x1e\xfa\xff\x25" + struct.pack("<i", slot - (at + 10))
    return code.ljust(JUMP_BYTES, b"\xcc")


def _x86_setup(at: int, arguments: Sequence[int], count: int, function: int) -> bytes:
    """`lea` into rdi, rsi, rdx, rcx; `mov $count, %r8d; jmp *function(%rip)`."""
    code = b"\xf3\x0f\x1e\xfa"
    for opcode, address in zip((0x3D, 0x35, 0x15, 0x0D), arguments, strict=True):
        code += bytes([0x48, 0x8D, opcode])
        code += struct.pack("<i", address - (at + len(code) + 4))
    code += b"\x41\xb8" + struct.pack("<I", count) + b"\xff\x25"
    code += struct.pack("<i", function - (at + len(code) + 4))
    return code.ljust(SETUP_BYTES, b"\xcc")


def _words(*instructions: int) -> bytes:
    return struct.pack(f"<{len(instructions)}I", *instructions)


def _adrp(at: int, register: int, address: int) -> int:
    pages = (address >> _PAGE_BITS) - (at >> _PAGE_BITS)
    return 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register


def _load_and_branch(at: int, slot: int) -> bytes:
    """`adrp x16, slot; ldr x17, [x16, :lo12:slot]; br x17`."""
    load = 0xF9400000 | (slot & 0xFFF) >> 3 << 10 | 16 << 5 | 17
    return _words(_adrp(at, 16, slot), load, 0xD61F0220)


def _arm_jump(at: int, slot: int) -> bytes:
    """`bti c`, then through the slot."""
    return _words(0xD503245F) + _load_and_branch(at + 4, slot)


def _arm_setup(at: int, arguments: Sequence[int], count: int, function: int) -> bytes:
    """`adrp` and `add` into x0 to x3; `movz w4, #count`; through the function's slot."""
    code = _words(0xD503245F)
    for register, address in enumerate(arguments):
        add = 0x91000000 | (address & 0xFFF) << 10 | register << 5 | register
        code += _words(_adrp(at + len(code), register, address), add)
    code += _words(0x52800000 | count << 5 | 4)
    return (code + _load_and_branch(at + len(code), function)).ljust(SETUP_BYTES, b"\0")


_MACHINES: Final = {
    machine.number: machine
    for machine in (
        Machine(elf.X86_64, 0x1000, 6, _x86_jump, _x86_setup),
        Machine(elf.AARCH64, 0x10000, 1025, _arm_jump, _arm_setup),
    )
}


def machine_of(number: int, name_count: int) -> Machine:
    """Return how to write for a machine; ValueError where that is not known, or too much."""
    if number not in _MACHINES:
        raise ValueError(f"is for machine {number}: only x86-64 and aarch64 are known")
    if name_count > _MOST_NAMES:
        raise ValueError(f"exports {name_count} names: at most {_MOST_NAMES} can be forwarded")
    return _MACHINES[number]
