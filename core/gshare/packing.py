"""Places function rectangles on one GPU by its maximal free rectangles, and takes them back.

Idea. Of a GPU's empty part keep every *maximal* empty rectangle: one that no larger empty
rectangle contains. They overlap one another, and a function fits exactly if one of them is wide
and high enough. So a verdict is a walk along a short list (2 on average, below 20 in practice).

Invariant. Placed rectangles never overlap, and `Space.free` is the set of all maximal empty
rectangles, no more and no fewer, in sorted order.

Order that keeps it. `choose` picks a free rectangle by a rule and puts the function in its lower
left corner. `place` then takes the three steps:
  1. split: the chosen free rectangle leaves two, the whole of it right of the function and the
     whole of it above;
  2. intersection update: every other free rectangle that meets the function leaves up to four,
     each as long as it was (left, right, below, above);
  3. removal: a rectangle inside another is dropped.
A maximal empty rectangle of the smaller space lies in a maximal one of the larger space and on
one side of the function, so steps 1 and 2 find them all; step 3 leaves only them. The split is
the update of a rectangle whose lower left corner is taken, so one piece of code does both.
`release` is the paper's keep-restructure: the others stay where they are, and the free list is
built anew from them. That is exact, and as cheap as merging (some tens of microseconds).

Worked example, written (x, y, width, height): an empty GPU has (0,0,100,100). Place 60 by 50 at
(0,0): free are (60,0,40,100) and (0,50,100,50), which overlap. Place 40 by 12; the short side
left is 40-40 = 0 in the first and 50-12 = 38 in the second, so it goes to (60,0). The first
leaves (60,12,40,88); the second is not met. Release the 60 by 50: free are (0,0,60,100),
(0,12,100,88).

Sources: J. Jylänki, "A Thousand Ways to Pack the Bin" (2010), MAXRECTS with its rules; J. Gu et
al., "FaST-GShare" (ICPP 2023), which packs functions into GPUs this way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gshare.rectangles import GPU_SIDE, Rectangle, Size

# Left, bottom, right, top. Free rectangles are made and dropped by the hundred while a layout is
# searched, and plain tuples are several times cheaper to make than self-checking values.
Edges = tuple[int, int, int, int]

# Worth of a free rectangle for a size beside what is placed, smaller is better; ties go to the
# lower and then the more left corner.
Rule = Callable[[Sequence[Edges], Edges, Size], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Space:
    """One GPU rectangle: what is placed, in order of placing, and what is free."""

    placed: tuple[Rectangle, ...] = ()
    free_edges: tuple[Edges, ...] = ((0, 0, GPU_SIDE, GPU_SIDE),)

    @classmethod
    def holding(cls, placed: Iterable[Rectangle]) -> "Space":
        """Return the space in which `placed` lie; ValueError where two of them overlap."""
        space = cls()
        for rectangle in placed:
            space = place(space, rectangle)
        return space

    @property
    def free(self) -> tuple[Rectangle, ...]:
        """Return all maximal free rectangles, sorted by (x, y, width, height)."""
        return tuple(Rectangle(x, y, right - x, top - y) for x, y, right, top in self.free_edges)

    @property
    def used_area(self) -> int:
        """Return the area of what is placed; a full GPU is 10,000."""
        return sum(rectangle.area for rectangle in self.placed)

    def fits(self, size: Size) -> bool:
        """Tell whether `size` finds room without moving anything."""
        return any(
            right - x >= size.width and top - y >= size.height
            for x, y, right, top in self.free_edges
        )


def choose(space: Space, size: Size, rule: str = "short_side") -> Rectangle | None:
    """Return where `rule` (a key of RULES) puts `size`, or None where it finds no room."""
    placed = [_edges(rectangle) for rectangle in space.placed]
    taken = _choose(space.free_edges, placed, size, RULES[rule])
    return None if taken is None else _rectangle(taken)


def fill(sizes: Iterable[Size], rule: str = "short_side") -> tuple[Rectangle, ...]:
    """Return where `sizes` go one after another on an empty GPU, up to the first without room."""
    free: list[Edges] | None = [(0, 0, GPU_SIDE, GPU_SIDE)]
    placed: list[Edges] = []
    for size in sizes:
        taken = _choose(free or (), placed, size, RULES[rule])
        if taken is None:
            break
        placed.append(taken)
        free = _updated(free or (), taken)
    return tuple(map(_rectangle, placed))


def short_side_left(space: Space, size: Size) -> int | None:
    """Return the short side that best short-side fit would leave, or None where nothing fits."""
    spans = (
        (right - x - size.width, top - y - size.height) for x, y, right, top in space.free_edges
    )
    return min((min(span) for span in spans if min(span) >= 0), default=None)


def place(space: Space, rectangle: Rectangle) -> Space:
    """Return the space after split, intersection update and removal; ValueError on overlap."""
    free = _updated(space.free_edges, _edges(rectangle))
    if free is None:
        raise ValueError(f"{rectangle} does not lie in free space")
    return Space((*space.placed, rectangle), tuple(sorted(free)))


def release(space: Space, rectangle: Rectangle) -> Space:
    """Return the space without `rectangle`, the others in place; ValueError if it is not placed."""
    if rectangle not in space.placed:
        raise ValueError(f"{rectangle} is not placed here")
    kept = list(space.placed)
    kept.remove(rectangle)
    return Space.holding(kept)


def _edges(rectangle: Rectangle) -> Edges:
    return (rectangle.x, rectangle.y, rectangle.right, rectangle.top)


def _rectangle(edges: Edges) -> Rectangle:
    return Rectangle(edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1])


def _choose(
    free_edges: Iterable[Edges], placed: Sequence[Edges], size: Size, rule: Rule
) -> Edges | None:
    width, height = size.width, size.height
    best, best_worth = None, ((0, 0), 0, 0)
    for free in free_edges:
        x, y, end, ceiling = free
        if end - x >= width and ceiling - y >= height:
            worth = (rule(placed, free, size), y, x)
            if best is None or worth < best_worth:
                best, best_worth = (x, y, x + width, y + height), worth
    return best


def _updated(free_edges: Iterable[Edges], taken: Edges) -> list[Edges] | None:
    """Return what is free once `taken` is, None where it does not lie in free space.

    A search for a layout does this by the thousand, hence plain comparisons of edges.
    """
    left, bottom, right, top = taken
    apart: list[Edges] = []
    strips: set[Edges] = set()
    lies_free = False
    for free in free_edges:
        x, y, end, ceiling = free
        if x >= right or left >= end or y >= top or bottom >= ceiling:
            apart.append(free)
            continue
        lies_free = lies_free or (x <= left and y <= bottom and right <= end and top <= ceiling)
        if x < left:
            strips.add((x, y, left, ceiling))
        if right < end:
            strips.add((right, y, end, ceiling))
        if y < bottom:
            strips.add((x, y, end, bottom))
        if top < ceiling:
            strips.add((x, top, end, ceiling))
    return [*apart, *_maximal(strips, apart)] if lies_free else None


def _maximal(strips: set[Edges], apart: list[Edges]) -> list[Edges]:
    """Return the strips that lie in no other rectangle. Those apart were maximal and stay so."""
    others = [*apart, *strips]
    kept = []
    for strip in strips:
        x, y, end, ceiling = strip
        for other in others:
            left, bottom, right, top = other
            lies_inside = left <= x and bottom <= y and end <= right and ceiling <= top
            if lies_inside and other != strip:
                break
        else:
            kept.append(strip)
    return kept


def _short_side(_placed: Sequence[Edges], free: Edges, size: Size) -> tuple[int, int]:
    right, above = free[2] - free[0] - size.width, free[3] - free[1] - size.height
    return (right, above) if right < above else (above, right)


def _long_side(placed: Sequence[Edges], free: Edges, size: Size) -> tuple[int, int]:
    short, long = _short_side(placed, free, size)
    return (long, short)


def _area(placed: Sequence[Edges], free: Edges, size: Size) -> tuple[int, int]:
    left = (free[2] - free[0]) * (free[3] - free[1]) - size.area
    return (left, _short_side(placed, free, size)[0])


def _bottom_left(_placed: Sequence[Edges], free: Edges, size: Size) -> tuple[int, int]:
    return (free[1] + size.height, free[0])


def _contact_point(placed: Sequence[Edges], free: Edges, size: Size) -> tuple[int, int]:
    x, y = free[0], free[1]
    right, top = x + size.width, y + size.height
    contact = size.height * ((x == 0) + (right == GPU_SIDE))
    contact += size.width * ((y == 0) + (top == GPU_SIDE))
    for left, bottom, end, ceiling in placed:
        if left == right or end == x:
            contact += max(0, min(top, ceiling) - max(y, bottom))
        if bottom == top or ceiling == y:
            contact += max(0, min(right, end) - max(x, left))
    return (-contact, 0)


# Every rule there is, by name. Jylänki's names: BSSF, BLSF, BAF, BL, CP.
RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "short_side": _short_side,
        "long_side": _long_side,
        "area": _area,
        "bottom_left": _bottom_left,
        "contact_point": _contact_point,
    }
)
