"""GPUs drawn as rectangles: x is time (the window), y is space (the SMs).

Pure: a picture is a grid of cells, each a character and the function it belongs to. The terminal
(`watch.py`) gives every function a colour; `svg.py` draws the same rectangles for a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FREE: Final = "·"
_LEFT: Final = "▏"
_TOP: Final = "▔"


@dataclass(frozen=True, slots=True)
class Box:
    """One function rectangle to draw: percents, y upwards from the bottom of the GPU."""

    label: str
    function: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of the picture; `function` is None where the GPU is free."""

    character: str
    function: str | None


def picture(boxes: Sequence[Box], columns: int, rows: int) -> list[list[Cell]]:
    """Return `rows` lines of `columns` cells, the top of the GPU first.

    A box covers the cells whose lower left corner it contains, so boxes that do not overlap never
    share a cell, and boxes that touch leave no gap.
    """
    grid = [[Cell(FREE, None)] * columns for _ in range(rows)]
    for box in boxes:
        left, right = _cells(box.x, box.width, columns)
        bottom, top = _cells(box.y, box.height, rows)
        lines = _lines_of(box, right - left, top - bottom)
        for offset, line in enumerate(lines):
            row = rows - top + offset
            for column, character in enumerate(line):
                grid[row][left + column] = Cell(character, box.function)
    return grid


def _cells(start: int, size: int, count: int) -> tuple[int, int]:
    first = -(-start * count // 100)
    last = -(-(start + size) * count // 100)
    return first, min(last, count)


def _lines_of(box: Box, columns: int, rows: int) -> list[str]:
    """Return the box's own lines: an edge at the left and the top, the label in the middle."""
    if columns <= 0 or rows <= 0:
        return []
    lines = [(_LEFT + _TOP * columns)[:columns]] + [
        (_LEFT + " " * columns)[:columns] for _ in range(rows - 1)
    ]
    texts = [box.label, f"{box.width}% x {box.height}% SM"]
    shown = [text[: columns - 1] for text in texts][:rows]
    if len(texts[-1]) > columns - 1:
        shown = shown[:1]
    first = (rows - len(shown)) // 2
    for index, text in enumerate(shown):
        line = lines[first + index]
        start = max(1, (columns - len(text)) // 2)
        lines[first + index] = (line[:start] + text + line[start + len(text) :])[:columns]
    return lines


def bar(delivered_percent: float, request_percent: int, limit_percent: int, columns: int) -> str:
    """Return a bar over 0-100 % of the time: filled is delivered, | the request, ] the limit."""
    cells = ["█" if 100 * index < delivered_percent * columns else "─" for index in range(columns)]
    for mark, percent in (("]", limit_percent), ("|", request_percent)):
        cells[min(columns - 1, max(0, percent * columns // 100 - 1))] = mark
    return "".join(cells)
