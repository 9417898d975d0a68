"""Random feasible timetables: a GPU cut into rectangles by full cuts, like a pane of glass."""

from dataclasses import dataclass

from hypothesis import strategies as st
from tests.support.arbiter import US, Shape
from tests.support.virtual_gpu import Client

SMALLEST = 5  # percent, either way


@dataclass(frozen=True)
class Pane:
    """A rectangle: `x` and `width` in percent of the window, `height` in percent of the SMs."""

    x: int
    width: int
    height: int


@st.composite
def panes(draw: st.DrawFn, most: int = 10) -> list[Pane]:
    """Draw rectangles that fill the GPU; dropping any of them leaves a feasible timetable."""
    whole = [Pane(0, 100, 100)]
    for _ in range(draw(st.integers(0, most - 1))):
        at = draw(st.integers(0, len(whole) - 1))
        across = draw(st.booleans())
        pane = whole[at]
        size = pane.height if across else pane.width
        if size < 2 * SMALLEST:
            continue
        cut = draw(st.integers(SMALLEST, size - SMALLEST))
        whole[at : at + 1] = _halves(pane, cut, across=across)
    return whole


def _halves(pane: Pane, cut: int, *, across: bool) -> list[Pane]:
    if across:
        heights = (cut, pane.height - cut)
        return [Pane(pane.x, pane.width, height) for height in heights]
    return [Pane(pane.x, cut, pane.height), Pane(pane.x + cut, pane.width - cut, pane.height)]


def shape(pane: Pane, limit: int) -> Shape:
    """Return the lease of a rectangle; its limit is `limit`, or its request if that is more."""
    return Shape(pane.height, pane.width, max(limit, pane.width), ((pane.x, pane.width),))


@st.composite
def saturated(draw: st.DrawFn) -> list[Client]:
    """Draw a full GPU of clients that always have work."""
    return [
        Client(
            shape(pane, draw(st.sampled_from([1, 30, 60, 100]))),
            kernel=draw(st.sampled_from([10, 100, 300, 500])) * US,
            depth=draw(st.sampled_from([1, 2, 4])),
        )
        for pane in draw(panes())
    ]
