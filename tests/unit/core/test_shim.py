"""The shim that stands in a driver's place: what it exports, and what is refused."""

import struct

import pytest
from tests.support.daemon import native

from gshare import elf, shim, shim_code
from gshare.elf import Export, Library

NAMES = ("cuInit", "cuLaunchKernel", "cuMemAlloc_v2", "cuSomethingNew")
MACHINES = {"x86-64": elf.X86_64, "aarch64": elf.AARCH64}
HOOK, DRIVER = "/usr/local/gshare/libgshare_hook.so", "/usr/local/gshare/driver/libcuda.so.1"


def library(*exports: Export, machine: int = elf.X86_64, soname: str = "libcuda.so.1") -> Library:
    return Library(machine, soname, exports or tuple(Export(name, True) for name in NAMES))  # noqa: FBT003


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
def test_a_shim_bears_the_drivers_name_and_exports_all_of_its_functions(machine: int) -> None:
    made = elf.read(shim.build(library(machine=machine), HOOK, DRIVER))

    assert made == library(machine=machine)


def test_a_shim_of_the_simulated_driver_exports_every_name_of_it() -> None:
    driver = elf.read((native().simgpu / "libcuda.so.1").read_bytes())

    made = elf.read(shim.build(driver, HOOK, DRIVER))

    assert {"cuLaunchKernel", "cuGetProcAddress_v2", "cuMemAlloc_v2"} < set(_names(made))
    assert sorted(_names(made)) == sorted(_names(driver))
    assert made.soname == "libcuda.so.1"


def test_variables_are_left_to_the_driver_behind_the_shim() -> None:
    driver = library(Export("cuInit", True), Export("cudbgApiClientPid", False))  # noqa: FBT003

    assert _names(elf.read(shim.build(driver, HOOK, DRIVER))) == ["cuInit"]


REFUSED = {
    "a versioned function": (library(Export("cuInit", True, 2)), "exports cuInit with a version"),  # noqa: FBT003
    "no function": (library(Export("errno", False)), "exports no function"),  # noqa: FBT003
    "no soname": (library(soname=""), "has no soname"),
    "another machine": (library(machine=243), "is for machine 243"),
}


@pytest.mark.parametrize(("driver", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_driver_that_no_shim_can_stand_for_is_refused(driver: Library, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        shim.build(driver, HOOK, DRIVER)


def test_more_names_than_the_code_can_count_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 65535"):
        shim_code.machine_of(elf.AARCH64, 1 << 16)


def test_a_library_cut_short_anywhere_is_refused_or_still_whole() -> None:
    """Bytes behind what the loader reads may be missing; what is read is never wrong."""
    whole = shim.build(library(), HOOK, DRIVER)

    answers = [_answer(whole[:length]) for length in range(0, len(whole), 7)]

    assert all(each == library() for each in answers if isinstance(each, Library))
    assert isinstance(answers[-1], Library)
    assert sum(isinstance(each, Library) for each in answers) < len(answers) / 2


def test_damaged_bytes_are_refused_with_no_other_error() -> None:
    whole = shim.build(library(), HOOK, DRIVER)

    for at in range(0x600):
        _answer(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])


@pytest.mark.parametrize("distance", [0x20, 0x7F8, 0x1000, 0x2FF8, 0x123458])
def test_jumps_lead_through_their_slots(distance: int) -> None:
    at = 0x5480

    x86 = shim_code.machine_of(elf.X86_64, 1).jump(at, at + distance)
    arm = shim_code.machine_of(elf.AARCH64, 1).jump(at, at + distance)

    assert x86[4:6] == b"\xff\x25"
    assert at + 10 + struct.unpack_from("<i", x86, 6)[0] == at + distance
    assert _arm_slot(at, arm) == at + distance


def _answer(content: bytes) -> Library | str:
    """Return what is read, or the refusal: a sentence about the file."""
    try:
        return elf.read(content)
    except ValueError as error:
        text = str(error)
    assert text.startswith(("is ", "has "))
    return text


def _arm_slot(at: int, code: bytes) -> int:
    """Return the address that `bti c; adrp x16; ldr x17, [x16, #n]; br x17` loads from."""
    pad, page, load, branch = struct.unpack("<4I", code)
    assert (pad, branch) == (0xD503245F, 0xD61F0220)
    assert page & 0x9F00001F == 0x90000010
    assert load & 0xFFC003FF == 0xF9400211
    pages = (page >> 5 & 0x7FFFF) << 2 | page >> 29 & 3
    return (at + 4 & ~0xFFF) + (pages << 12) + (load >> 10 & 0xFFF) * 8


def _names(read: Library) -> list[str]:
    return [export.name for export in read.exports if export.is_function]
