"""Slow, plain answers to compare the packer with; they share no code with it."""

import re
from collections.abc import Iterable

from gshare.layout import Layout
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


def violations(layout: Layout) -> list[str]:
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
