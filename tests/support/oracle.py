"""Slow, plain answers to compare the packer with; they share no code with it."""

import re
from collections.abc import Iterable

from gshare.layout import Layout
from gshare.modes import Timetable
from gshare.rectangles import Rectangle

_SIDE = 100


def maximal_free(placed: Iterable[Rectangle]) -> set[tuple[int, int, int, int]]:
    """Return (x, y, width, height) of every maximal empty rectangle, from a map of all percents.

    For each span of rows the free columns are those that no row of it occupies. A run of them is
    as wide as it can be; it is maximal if the rows below and above the span block it too.
    """
    rows = _occupied(placed)
    found = set()
    for bottom in range(_SIDE):
        occupied = 0
        for top in range(bottom + 1, _SIDE + 1):
            occupied |= rows[top - 1]
            for start, end in _free_runs(occupied):
                run = (1 << end) - (1 << start)
                below = bottom == 0 or rows[bottom - 1] & run
                above = top == _SIDE or rows[top] & run
                if below and above:
                    found.add((start, bottom, end - start, top - bottom))
    return found


def profile(timetable: Timetable) -> bytes:
    """Return, for each height from 0 to 100, the widest quota that fits at that height."""
    if isinstance(timetable, Layout):
        return _profile_of_rectangles(place for _, place in timetable.places)
    free = [
        _SIDE
        - sum(
            size.height
            for key, size in zip(timetable.keys, timetable.sizes, strict=True)
            if any(start <= percent < start + width for start, width in timetable.slices(key))
        )
        for percent in range(_SIDE)
    ]
    return bytes(sum(each >= height for each in free) for height in range(_SIDE + 1))


def _profile_of_rectangles(placed: Iterable[Rectangle]) -> bytes:
    """Erode the map of free percents, one integer, by rows and then by columns.

    A row is 101 bits: the last is never free, so that nothing runs on into the next row.
    """
    row_bits = _SIDE + 1
    whole_row = (1 << _SIDE) - 1
    tall = sum(
        (whole_row & ~occupied) << (row_bits * row)
        for row, occupied in enumerate(_occupied(placed))
    )
    widest = bytearray([_SIDE])
    free = tall
    for height in range(1, _SIDE + 1):
        wide, width = tall, 0
        while wide:
            wide, width = wide & (wide >> 1), width + 1
        widest.append(width)
        tall &= free >> (row_bits * height)
    return bytes(widest)


def violations(layout: Timetable) -> list[str]:
    """Return what is wrong with `layout` as a timetable, from its slices and sizes alone."""
    sm_of = {key: size.height for key, size in zip(layout.keys, layout.sizes, strict=True)}
    quota_of = {key: size.width for key, size in zip(layout.keys, layout.sizes, strict=True)}
    held = {
        key: {
            percent
            for start, width in layout.slices(key)
            for percent in range(start, start + width)
        }
        for key in layout.keys
    }
    found = [
        f"{key} holds {len(held[key])} of {quota_of[key]} percent"
        for key in layout.keys
        if len(held[key]) != quota_of[key] or not held[key] <= set(range(_SIDE))
    ]
    for percent in range(_SIDE):
        promised = sum(sm_of[key] for key in layout.keys if percent in held[key])
        if promised > _SIDE:
            found.append(f"{promised} percent of the SMs at {percent} percent of the window")
    return found


def _occupied(placed: Iterable[Rectangle]) -> list[int]:
    """Return one bit map of occupied columns for each row."""
    rows = [0] * _SIDE
    for rectangle in placed:
        for row in range(rectangle.y, rectangle.y + rectangle.height):
            rows[row] |= (1 << (rectangle.x + rectangle.width)) - (1 << rectangle.x)
    return rows


def _free_runs(occupied: int) -> list[tuple[int, int]]:
    columns = f"{occupied:0{_SIDE}b}"[::-1]
    return [match.span() for match in re.finditer("0+", columns)]
