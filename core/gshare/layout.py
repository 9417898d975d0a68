"""Lays out a whole set of functions on one GPU; the layout is also the GPU's timetable.

Idea. Where a rectangle lies costs nothing to change: the SM percentage of MPS pins no SMs, so no
process moves when a GPU is laid out anew. Hence a GPU accepts a function if *some* layout holds
the whole set, not only if the present layout has room. A rectangle's x is the phase of the window
in which its function holds the token by right; its y has no meaning at run time, it only proves
that at no instant more than 100 percent of the SMs are promised.

Invariant. In a layout no rectangles overlap, so at each percent of the window the SM partitions
of those whose slices cover it add up to at most 100, and each function has its quota.

Order of the search (`find`), which decides by the multiset of sizes alone and so is the same for
every order of arrival:
  1. maximal rectangles from an empty GPU, for the first order of sizes in ORDERS by the first rule
     of `packing.RULES`, which lays out most sets that fit;
  2. bounds that are certain to mean "no" (`bounds.is_impossible`);
  3. each order times each rule; the first full layout is taken.
Step 3 may miss a layout that exists; PACKING measured 50.7-83.7 percent accepted area against
50.7-87.9 for an exact solver. It is not monotone either: a set may be found and a subset of it
not. So a departure never searches: the others keep their places.

Where a set stands on a GPU already and its places are not known (`modes.Packer.settled`, after a
restart), `find_longer` goes on where `find` gave up: what found no place moves half way up the
order, and all is packed anew. Of 120 sets from random arrivals and departures that `find` misses it
finds 100, seeded shuffles of the order 45. At about 1 ms a packing it is too slow for every
verdict.

Worked example. The paper's eight functions, (quota, SM): two (60,50), four (40,12), two (40,24).
Arriving as (40,12) (40,12) (60,50) (40,24) ... plain maximal rectangles may end with no room for
the last. Laid out by area, the two (60,50) go to (0,0) and (0,50), and the six others stack in
the 40 by 100 that stays free on the right: 12+12+12+12+24+24 = 96.

Sources: as for packing and bounds.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gshare import packing
from gshare.bounds import is_impossible
from gshare.rectangles import GPU_SIDE, Rectangle, Size, by_sides

Slice = tuple[int, int]
"""Start and width of one piece of a quota, in percent of the window."""

# How many packings `find_longer` tries, and how many from one order and rule.
LONGER_PACKINGS: Final = 400
_LONGER_PACKINGS_EACH: Final = 30

# Orders in which a set is tried, largest first; sizes that tie go by width, then height.
ORDERS: Final[Mapping[str, Callable[[Size], tuple[int, ...]]]] = MappingProxyType(
    {
        "area": lambda size: (size.area,),
        "quota": lambda size: (size.width, size.height),
        "sm": lambda size: (size.height, size.width),
        "longer_side": lambda size: (max(size.width, size.height), size.area),
        "perimeter": lambda size: (size.width + size.height, size.area),
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the functions of one GPU lie, by key, in order of arrival.

    `space` is the same GPU rectangle with its maximal free rectangles.
    """

    places: tuple[tuple[str, Rectangle], ...] = ()
    space: packing.Space = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a key that occurs twice and rectangles that overlap, with ValueError."""
        if len({key for key, _ in self.places}) != len(self.places):
            raise ValueError(f"a key occurs twice in {[key for key, _ in self.places]}")
        try:
            space = _space(tuple(sorted((rectangle for _, rectangle in self.places), key=_corner)))
        except ValueError:
            space = _checked(self.places)
        object.__setattr__(self, "space", space)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the functions that lie here."""
        return tuple(key for key, _ in self.places)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Return what the functions ask, in the order of `keys`."""
        return tuple(rectangle.size for _, rectangle in self.places)

    @property
    def used_area(self) -> int:
        """Return the area in use; a full GPU is 10,000."""
        return sum(rectangle.area for _, rectangle in self.places)

    def rectangle(self, key: str) -> Rectangle:
        """Return where `key` lies; KeyError if it does not."""
        for candidate, rectangle in self.places:
            if candidate == key:
                return rectangle
        raise KeyError(key)

    def slices(self, key: str) -> tuple[Slice, ...]:
        """Return the pieces of the window that are `key`'s by right; their widths are its quota."""
        rectangle = self.rectangle(key)
        return ((rectangle.x, rectangle.width),)

    @property
    def pieces(self) -> tuple[tuple[str, Rectangle], ...]:
        """Return the rectangles to draw, by key."""
        return self.places

    @property
    def profile(self) -> bytes:
        """Return, for each height from 0 to 100, the widest quota that fits at that height."""
        return _profile(self.space.free_edges)

    def fits(self, size: Size) -> bool:
        """Tell whether `size` finds room beside the others as they lie."""
        return self.space.fits(size)

    def beside(self, key: str, size: Size) -> "Layout | None":
        """Return the layout with `key` beside the others, or None where it finds no room."""
        place = packing.choose(self.space, size)
        return None if place is None else self.adding(key, place)

    def adding(self, key: str, rectangle: Rectangle) -> "Layout":
        """Return the layout with `key` beside the others; ValueError on overlap."""
        if key in self.keys:
            raise ValueError(f"{key} lies here already")
        return _laid((*self.places, (key, rectangle)), packing.place(self.space, rectangle))

    def without(self, key: str) -> "Layout":
        """Return the layout after `key` has left, the others in place; KeyError if not here."""
        self.rectangle(key)
        return Layout(tuple(place for place in self.places if place[0] != key))

    def narrowed(self, key: str, width: int) -> "Layout":
        """Return the layout with a smaller quota of `key`, in the corner where it lies."""
        at = self.rectangle(key)
        narrow = Rectangle(at.x, at.y, width, at.height)
        return Layout(tuple((k, narrow if k == key else place) for k, place in self.places))

    def renamed(self, key: str, name: str) -> "Layout":
        """Return the layout with `name` in the place of `key`; KeyError if that is not here."""
        self.rectangle(key)
        return Layout(tuple((name if k == key else k, place) for k, place in self.places))


# A cluster's GPUs share few layouts but for the keys, and what is worked out for one holds for all.
_REMEMBERED: Final = 4096


def _laid(places: tuple[tuple[str, Rectangle], ...], space: packing.Space) -> Layout:
    """Return the layout of `places`, which are known to lie so in `space`."""
    layout = object.__new__(Layout)
    object.__setattr__(layout, "places", places)
    object.__setattr__(layout, "space", space)
    return layout


def _corner(rectangle: Rectangle) -> tuple[int, int]:
    return (rectangle.x, rectangle.y)


@functools.lru_cache(_REMEMBERED)
def _space(placed: tuple[Rectangle, ...]) -> packing.Space:
    return packing.Space.holding(placed)


def _checked(places: Iterable[tuple[str, Rectangle]]) -> packing.Space:
    """Return the space in which `places` lie; ValueError with the key of one that overlaps."""
    space = packing.Space()
    for key, rectangle in places:
        try:
            space = packing.place(space, rectangle)
        except ValueError as error:
            raise ValueError(f"{key} overlaps another function: {error}") from error
    return space


@functools.lru_cache(_REMEMBERED)
def _profile(free: tuple[packing.Edges, ...]) -> bytes:
    widest = bytearray(GPU_SIDE + 1)
    for x, y, right, top in free:
        widest[top - y] = max(widest[top - y], right - x)
    widest[0] = GPU_SIDE
    for height in range(GPU_SIDE - 1, 0, -1):
        widest[height] = max(widest[height], widest[height + 1])
    return bytes(widest)


Places = tuple[Rectangle, ...] | None


def find(sizes: Sequence[Size]) -> Places:
    """Return a place for each of `sizes`, in their order, or None where none is found.

    The answer is the same for every permutation of `sizes`, but for equal sizes' places.
    """
    for turn, (order, rule) in enumerate(_attempts(sizes)):
        if turn == 1 and is_impossible(sizes):
            return None
        places = packing.fill([sizes[index] for index in order], rule)
        if len(places) == len(sizes):
            return tuple(place for _, place in sorted(zip(order, places, strict=True)))
    return None


def _attempts(sizes: Sequence[Size]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the different orders of the indices of `sizes`, each with every rule."""
    indices = sorted(range(len(sizes)), key=lambda index: by_sides(sizes[index]), reverse=True)
    tried: set[tuple[int, ...]] = set()
    for worth in ORDERS.values():
        order = tuple(sorted(indices, key=lambda index: worth(sizes[index]), reverse=True))
        if order not in tried:
            tried.add(order)
            for rule in packing.RULES:
                yield order, rule


def find_longer(sizes: Sequence[Size]) -> Places:
    """Search on where `find` gave up; the answer is the same for every permutation of `sizes`."""
    if is_impossible(sizes):
        return None
    indices = sorted(range(len(sizes)), key=lambda index: by_sides(sizes[index]), reverse=True)
    tried: set[tuple[object, ...]] = set()
    for worth in ORDERS.values():
        for rule in packing.RULES:
            order = sorted(indices, key=lambda index: worth(sizes[index]), reverse=True)
            for _ in range(_LONGER_PACKINGS_EACH):
                attempt = (rule, *(sizes[index] for index in order))
                if attempt in tried:
                    break
                if len(tried) == LONGER_PACKINGS:
                    return None
                tried.add(attempt)
                places = packing.fill([sizes[index] for index in order], rule)
                if len(places) == len(sizes):
                    return tuple(place for _, place in sorted(zip(order, places, strict=True)))
                order.insert(len(places) // 2, order.pop(len(places)))
    return None
