"""The C header and its Python twin lay out every page alike; what one packs, the other reads."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import programs

from gshare import wire

HEADER = Path(__file__).resolve().parents[2] / "hook" / "include"

# struct -> its fields in order; the program below prints size and offsets.
STRUCTS = {
    "limits": (
        *("sequence", "sm_percent", "quota_request_percent", "quota_limit_percent", "window_us"),
        *("launch_depth", "queue_budget_us", "slice_count", "memory_limit_bytes", "slices"),
        *("lease_id", "gpu_uuid"),
    ),
    "grant": ("epoch", "revoke_count", "deadline_ns", "daemon_start_ns"),
    "slot": tuple(wire.SLOT_OFFSETS),
    "counters": ("slot_high_water", "slots"),
    "doorbell": ("rings",),
    "hello": ("slot", "pid"),
    "welcome": ("slot", "status"),
}


@pytest.fixture(scope="module")
def offsets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Return what the C compiler says: `struct.field` and `struct` (its size) to bytes."""
    reader = programs.of_text(program(), tmp_path_factory.mktemp("wire"), f"-I{HEADER}")
    lines = subprocess.run([reader], check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in map(str.split, lines.splitlines())}


def program() -> str:
    lines = ["#include <stddef.h>", "#include <stdio.h>", '#include "gshare/wire.h"']
    lines.append("int main(void) {")
    for struct, fields in STRUCTS.items():
        lines.append(f'printf("{struct} %zu\\n", sizeof(struct gshare_{struct}));')
        lines += [
            f'printf("{struct}.{name} %zu\\n", offsetof(struct gshare_{struct}, {name}));'
            for name in fields
        ]
    constants = ("MAGIC", "WIRE_VERSION", "MAX_SLICES", "MAX_SLOTS", "LEASE_ID_BYTES", "UUID_BYTES")
    lines += [f'printf("{name} %zu\\n", (size_t)GSHARE_{name});' for name in constants]
    return "\n".join([*lines, "return 0; }"])


@pytest.mark.parametrize(
    ("struct", "layout"),
    [
        ("limits", wire.LIMITS_BYTES),
        ("grant", wire.GRANT_BYTES),
        ("slot", wire.SLOT.size),
        ("counters", wire.COUNTERS_BYTES),
        ("doorbell", wire.DOORBELL.size),
        ("hello", wire.HELLO.size),
        ("welcome", wire.WELCOME.size),
    ],
)
def test_sizes_are_those_of_the_compiler(offsets: dict[str, int], struct: str, layout: int) -> None:
    assert layout == offsets[struct]


def test_constants_are_those_of_the_header(offsets: dict[str, int]) -> None:
    ours = (wire.MAGIC, wire.VERSION, wire.MAX_SLICES, wire.MAX_SLOTS, wire.LEASE_ID_BYTES)

    theirs = ("MAGIC", "WIRE_VERSION", "MAX_SLICES", "MAX_SLOTS", "LEASE_ID_BYTES")
    assert ours == tuple(offsets[name] for name in theirs)
    assert offsets["UUID_BYTES"] == wire.UUID_BYTES


def test_offsets_of_words_are_those_of_the_compiler(offsets: dict[str, int]) -> None:
    assert offsets["grant.epoch"] == wire.GRANT_EPOCH_OFFSET
    assert offsets["grant.revoke_count"] == wire.GRANT_REVOKE_COUNT_OFFSET
    assert offsets["grant.deadline_ns"] == wire.GRANT_DEADLINE_OFFSET
    assert offsets["doorbell.rings"] == wire.DOORBELL_RINGS_OFFSET
    assert wire.slot_offset(0) == offsets["counters.slots"]
    for name, offset in wire.SLOT_OFFSETS.items():
        assert offset == offsets[f"slot.{name}"]


@pytest.mark.parametrize("struct", ["limits", "grant", "slot"])
def test_each_packed_field_lies_where_the_compiler_puts_it(
    offsets: dict[str, int], struct: str
) -> None:
    """Every field gets a number of its own, and is found again at the compiler's offset."""
    page, values = MARKED[struct]()

    for name, (value, size) in values.items():
        at = offsets[f"{struct}.{name}"]
        assert int.from_bytes(page[at : at + size], "little") == value, name


def marked_limits() -> tuple[bytes, dict[str, tuple[int, int]]]:
    slices = (wire.Slice(11, 13), wire.Slice(40, 7))
    page = wire.pack_limits(wire.Limits("a", "G", 12, 20, 30, slices, 2**40 + 1, 17, 18, 19), 8)
    values = {
        "sequence": (8, 4),
        "sm_percent": (12, 4),
        "quota_request_percent": (20, 4),
        "quota_limit_percent": (30, 4),
        "window_us": (17, 4),
        "launch_depth": (18, 4),
        "queue_budget_us": (19, 4),
        "slice_count": (2, 4),
        "memory_limit_bytes": (2**40 + 1, 8),
        "slices": (11 | 13 << 16 | 40 << 32 | 7 << 48, 8),
        "lease_id": (ord("a"), 2),
        "gpu_uuid": (ord("G"), 2),
    }
    return page, values


def marked_grant() -> tuple[bytes, dict[str, tuple[int, int]]]:
    page = wire.pack_grant(wire.Grant(1, 2, 2**40 + 3, 2**40 + 4))
    values = {"epoch": (1, 4), "revoke_count": (2, 4)}
    return page, values | {"deadline_ns": (2**40 + 3, 8), "daemon_start_ns": (2**40 + 4, 8)}


def marked_slot() -> tuple[bytes, dict[str, tuple[int, int]]]:
    numbers = range(1, 1 + len(wire.SLOT_OFFSETS))
    sizes = [4 if offset < 16 else 8 for offset in wire.SLOT_OFFSETS.values()]
    page = wire.pack_slot(wire.Slot(*numbers))
    return page, dict(zip(wire.SLOT_OFFSETS, zip(numbers, sizes, strict=True), strict=True))


MARKED = {"limits": marked_limits, "grant": marked_grant, "slot": marked_slot}

percent = st.integers(1, 100)
word = st.integers(0, 2**32 - 1)
long = st.integers(0, 2**64 - 1)
identifier = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=39)


@st.composite
def limits(draw: st.DrawFn) -> wire.Limits:
    request = draw(percent)
    cut = draw(st.integers(0, request - 1))
    whole = (wire.Slice(0, request),)
    parts = (wire.Slice(0, cut), wire.Slice(cut, request - cut)) if cut else whole
    return wire.Limits(
        draw(identifier),
        draw(identifier),
        draw(percent),
        request,
        draw(st.integers(request, 100)),
        parts,
        draw(long),
        draw(word),
        draw(word),
        draw(word),
    )


@given(limits())
def test_limits_round_trip(value: wire.Limits) -> None:
    """A limits page read back is the value that was packed."""
    assert wire.unpack_limits(wire.pack_limits(value)) == value


@given(st.builds(wire.Grant, word, word, long, long))
def test_grants_round_trip(value: wire.Grant) -> None:
    """A grant page read back is the value that was packed."""
    assert wire.unpack_grant(wire.pack_grant(value)) == value


@given(st.lists(st.builds(wire.Slot, *[word] * 4, *[long] * 5), max_size=wire.MAX_SLOTS))
def test_counters_round_trip(slots: list[wire.Slot]) -> None:
    """A counters page read back has the slots that were packed."""
    value = wire.Counters(tuple(slots))

    assert wire.unpack_counters(wire.pack_counters(value)) == value


@given(st.binary(max_size=wire.COUNTERS_BYTES + 1))
def test_pages_of_noise_are_refused(noise: bytes) -> None:
    """Bytes that are no page raise WireError from every reader, and nothing else."""
    readers = (wire.unpack_limits, wire.unpack_grant, wire.unpack_counters, wire.unpack_welcome)
    for read in readers:
        with pytest.raises(wire.WireError):
            read(noise)


@given(st.binary(min_size=160, max_size=160))
def test_noise_behind_a_good_header_is_refused_as_a_value(noise: bytes) -> None:
    """A limits page of noise raises ValueError, unless it happens to be a good one."""
    page = wire.HEADER.pack(wire.MAGIC, wire.VERSION) + noise
    try:
        read = wire.unpack_limits(page)
    except ValueError:
        return
    assert 1 <= read.sm_percent <= 100
