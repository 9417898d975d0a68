"""The GPUs' rectangles as an SVG page, with axes and a legend."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from .colours import colour_of
from .drawing import Box

_XMLNS: Final = "http://www.w3.org/2000/svg"
_SIDE: Final = 400
_MARGIN: Final = 70
_LEGEND_LINE: Final = 20
_STYLE: Final = "font-family='sans-serif' font-size='12'"


def page(gpus: Sequence[tuple[str, Sequence[Box]]]) -> str:
    """Return an SVG document with one square per GPU: its title and its boxes."""
    functions = sorted({box.function for _, boxes in gpus for box in boxes})
    width = _MARGIN + max(1, len(gpus)) * (_SIDE + _MARGIN)
    legend_top = _MARGIN + _SIDE + _MARGIN
    height = legend_top + len(functions) * _LEGEND_LINE + 10
    extent = f"width='{width}' height='{height}'"
    parts = [
        f"<svg xmlns='{_XMLNS}' {extent} viewBox='0 0 {width} {height}' {_STYLE}>",
        f"<rect {extent} fill='white'/>",
    ]
    for index, (title, boxes) in enumerate(gpus):
        parts += _gpu(_MARGIN + index * (_SIDE + _MARGIN), title, boxes)
    for index, function in enumerate(functions):
        parts += _legend(legend_top + index * _LEGEND_LINE, function)
    return "\n".join([*parts, "</svg>", ""])


def _gpu(left: int, title: str, boxes: Sequence[Box]) -> list[str]:
    bottom = _MARGIN + _SIDE
    middle = left + _SIDE // 2
    square = f"width='{_SIDE}' height='{_SIDE}'"
    side, half_way = left - 40, _MARGIN + _SIDE // 2
    upright = f"x='{side}' y='{half_way}' transform='rotate(-90 {side} {half_way})'"
    parts = [
        f"<text x='{middle}' y='{_MARGIN - 20}' text-anchor='middle'>{escape(title)}</text>",
        f"<rect x='{left}' y='{_MARGIN}' {square} fill='#f4f4f4' stroke='black'/>",
        f"<text x='{middle}' y='{bottom + 40}' text-anchor='middle'>time %</text>",
        f"<text {upright} text-anchor='middle'>SM %</text>",
    ]
    for tick in range(0, 101, 20):
        along = tick * _SIDE // 100
        parts += [
            f"<text x='{left + along}' y='{bottom + 18}' text-anchor='middle'>{tick}</text>",
            f"<text x='{left - 8}' y='{bottom - along + 4}' text-anchor='end'>{tick}</text>",
        ]
    for box in boxes:
        parts += _box(left, bottom, box)
    return parts


def _box(left: int, bottom: int, box: Box) -> list[str]:
    x, y = left + box.x * _SIDE / 100, bottom - (box.y + box.height) * _SIDE / 100
    width, height = box.width * _SIDE / 100, box.height * _SIDE / 100
    place = f"x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}'"
    middle = f"x='{x + width / 2:g}' y='{y + height / 2 + 4:g}' text-anchor='middle'"
    label = escape(box.label)
    share = f"{box.width} % of the time, {box.height} % of the SMs"
    return [
        f"<rect {place} fill='{colour_of(box.function)}' stroke='black'>",
        f"<title>{label}: {share}</title></rect>",
        f"<text {middle}>{label}</text>",
    ]


def _legend(top: int, function: str) -> list[str]:
    return [
        f"<rect x='{_MARGIN}' y='{top}' width='14' height='14' fill='{colour_of(function)}'/>",
        f"<text x='{_MARGIN + 22}' y='{top + 12}'>{escape(function)}</text>",
    ]
