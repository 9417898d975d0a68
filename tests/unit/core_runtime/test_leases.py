"""Lease folders, limits pages and timetable, made to agree with a list."""

import dataclasses
from pathlib import Path

from gshare import wire
from gshare.runtime import leases
from gshare.wire import Limits, Slice

LIMITS = Limits("resnet-0", "GPU-0", 12, 40, 100, (Slice(0, 40),), memory_limit_bytes=2**30)


def page(gpu: Path) -> bytes:
    return (leases.folder_of(gpu, "resnet-0") / "limits").read_bytes()


def sequence(gpu: Path) -> int:
    return int.from_bytes(page(gpu)[8:12], "little")


def test_a_lease_has_its_limits_and_its_line(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS])

    assert wire.unpack_limits(page(tmp_path)) == LIMITS
    assert (tmp_path / "timetable").read_text().splitlines()[1:] == [
        "lease resnet-0 sm=12 request=40 limit=100 slices=0+40"
    ]


def test_limits_in_use_change_in_place_under_their_sequence(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS])
    file = leases.folder_of(tmp_path, "resnet-0") / "limits"
    before = (sequence(tmp_path), file.stat().st_ino)
    moved = dataclasses.replace(LIMITS, slices=(Slice(60, 40),))

    leases.prepare(tmp_path, [moved])

    assert wire.unpack_limits(page(tmp_path)) == moved
    assert (sequence(tmp_path), file.stat().st_ino) == (before[0] + 2, before[1])


def test_limits_that_stay_are_not_touched(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS])

    leases.prepare(tmp_path, [LIMITS])

    assert sequence(tmp_path) == 0


def test_limits_left_half_written_by_a_killed_node_are_made_whole(tmp_path: Path) -> None:
    leases.prepare(tmp_path, [LIMITS])
    file = leases.folder_of(tmp_path, "resnet-0") / "limits"
    torn = bytearray(page(tmp_path))
    torn[8] = 1
    file.write_bytes(torn)

    leases.prepare(tmp_path, [LIMITS])

    assert sequence(tmp_path) == 2


def test_a_folder_that_no_timetable_names_is_made_anew(tmp_path: Path) -> None:
    stale = leases.folder_of(tmp_path, "resnet-0")
    stale.mkdir(parents=True)
    (stale / "counters").write_bytes(b"of another lease")

    leases.prepare(tmp_path, [LIMITS])

    assert [file.name for file in stale.iterdir()] == ["limits"]
