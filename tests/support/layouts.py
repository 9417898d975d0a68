"""Random feasible timetables: a GPU cut into rectangles by full cuts, like a pane of glass."""

from dataclasses import dataclass

from hypothesis import strategies as st
from tests.support.arbiter import US, WINDOW, Shape
from tests.support.virtual_gpu import Client

SMALLEST = 5  # percent, either way
MOST_SLICES = 8


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


def _joined(whole: list[Pane], draw: st.DrawFn) -> list[list[Pane]]:
    """Join panes of one height that lie apart in time; each may be a slice of one lease."""
    groups: list[list[Pane]] = []
    for pane in sorted(whole, key=lambda each: each.x):
        fitting = [
            group
            for group in groups
            if group[0].height == pane.height
            and group[-1].x + group[-1].width <= pane.x
            and len(group) < MOST_SLICES
        ]
        if fitting and draw(st.booleans()):
            fitting[0].append(pane)
        else:
            groups.append([pane])
    return groups


@st.composite
def sliced(draw: st.DrawFn) -> list[Shape]:
    """Draw a full GPU of leases, some of them with a quota in several slices."""
    shapes = []
    for group in _joined(draw(panes()), draw):
        request = sum(pane.width for pane in group)
        limit = max(request, draw(st.sampled_from([1, 50, 100])))
        slices = tuple((pane.x, pane.width) for pane in group)
        shapes.append(Shape(group[0].height, request, limit, slices))
    return shapes


def shrunk(whole: Shape, share: int) -> Shape:
    """Return the lease with `share` percent of each slice: it fits wherever the whole one did."""
    slices = tuple((start, max(1, width * share // 100)) for start, width in whole.slices)
    return Shape(whole.sm, sum(width for _, width in slices), whole.limit, slices)


def lost_per_window(clients: list[Client]) -> int:
    """Return the slack: a wake-up, a detection and one kernel for each hand-over of a window."""
    starts = {start for client in clients for start, _ in client.shape.slices}
    longest = max(client.kernel for client in clients)
    return len(starts) * (clients[0].wake + clients[0].detect + longest)


def due(clients: list[Client], client: Client, duration: int) -> float:
    """Return the GPU time that a saturated client must have got in `duration`.

    What hand-overs cost makes the window longer, for all alike; the last slot may lie just outside
    by as much as the window has moved, and be short by one overrun, which is debt.
    """
    lost = lost_per_window(clients)
    moved = duration / WINDOW * lost
    promised = client.shape.request / 100 * duration * WINDOW / (WINDOW + lost)
    return promised - min(moved, client.shape.request / 100 * WINDOW) - client.depth * client.kernel
