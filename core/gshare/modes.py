"""The two ways to share a GPU, behind one interface.

`rect` gives each function one rectangle (`layout`); `sliced` may cut a quota into several slices
of the window (`sliced`, `staircase`), which packs better. A `Timetable` is a GPU's layout in
either; a `Packer` answers for whole sets and remembers what it has answered.

What holds in both: a verdict on a set depends on the multiset of sizes alone; a departure deletes
and never fails; whatever `rect` holds `sliced` holds too.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from gshare import bounds, layout, sliced, staircase
from gshare.layout import Layout, Slice
from gshare.rectangles import GPU_SIDE, Rectangle, Size, by_sides
from gshare.sliced import SlicedLayout


class Timetable(Protocol):
    """Where the functions of one GPU lie, and what room is left beside them."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The functions, in order of arrival."""

    @property
    def sizes(self) -> tuple[Size, ...]:
        """What they ask, in the order of `keys`."""

    @property
    def used_area(self) -> int:
        """The area in use; a full GPU is 10,000."""

    @property
    def pieces(self) -> tuple[tuple[str, Rectangle], ...]:
        """The rectangles to draw, by key; one function may have several."""

    @property
    def profile(self) -> bytes:
        """For each height from 0 to 100, the widest quota that fits at that height."""

    def slices(self, key: str) -> tuple[Slice, ...]:
        """Return the pieces of the window that are `key`'s by right."""

    def fits(self, size: Size) -> bool:
        """Tell whether `size` finds room beside the others: `profile[height] >= width`."""

    def beside(self, key: str, size: Size) -> Self | None:
        """Return the timetable with one function more, or None where it finds no room."""

    def without(self, key: str) -> Self:
        """Return the timetable after `key` has left, the others in place."""

    def narrowed(self, key: str, width: int) -> Self:
        """Return the timetable with a smaller quota of `key`, where the larger one began."""

    def renamed(self, key: str, name: str) -> Self:
        """Return the timetable with `name` in the place of `key`."""


A = TypeVar("A")
"""What a search answers for one function: a rectangle, or slices."""


@dataclass(frozen=True, slots=True)
class Mode(Generic[A]):
    """One way to share: its empty timetable, its searches for a set, and what they mean."""

    name: str
    empty: Timetable
    is_impossible: Callable[[Iterable[Size]], bool]
    find: Callable[[Sequence[Size]], tuple[A, ...] | None]
    find_longer: Callable[[Sequence[Size]], tuple[A, ...] | None]
    laid_out: Callable[[Mapping[str, Size], Mapping[str, A]], Timetable]
    adopted: Callable[[Timetable], Timetable]
    """The same functions in this mode's own kind of timetable, without those it cannot show."""


RECT: Final[Mode[Rectangle]] = Mode(
    "rect",
    Layout(),
    bounds.is_impossible,
    layout.find,
    layout.find_longer,
    lambda sizes, places: Layout(tuple((key, places[key]) for key in sizes)),
    lambda timetable: timetable if isinstance(timetable, Layout) else Layout(),
)
SLICED: Final[Mode[tuple[Slice, ...]]] = Mode(
    "sliced",
    SlicedLayout(),
    bounds.is_impossible_sliced,
    staircase.find,
    staircase.find_longer,
    sliced.laid_out,
    sliced.adopted,
)
MODES: Final[Mapping[str, Mode[Any]]] = MappingProxyType({"rect": RECT, "sliced": SLICED})
"""Every mode there is, by name."""


@dataclass(slots=True)
class Packer:
    """Answers for whole sets in one mode, and keeps the `capacity` answers used most recently.

    What an answer is made of stays between the mode's own functions, hence `Any`.
    """

    mode: Mode[Any]
    capacity: int = 4096
    _answers: OrderedDict[tuple[bool, tuple[Size, ...]], tuple[Any, ...] | None] = field(
        default_factory=OrderedDict
    )

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._answers)

    def holds(self, sizes: Iterable[Size], *, search_longer: bool = False) -> bool:
        """Tell whether a timetable of `sizes` is found on one GPU."""
        ordered = tuple(sorted(sizes, key=by_sides))
        return self._find(ordered, search_longer=search_longer) is not None

    def arrange(
        self, sizes: Mapping[str, Size], *, search_longer: bool = False
    ) -> Timetable | None:
        """Return a timetable of all of `sizes`, by key, or None where none is found."""
        ordered = sorted(sizes.items(), key=lambda item: (*by_sides(item[1]), item[0]))
        found = self._find(tuple(size for _, size in ordered), search_longer=search_longer)
        if found is None:
            return None
        by_key = {key: each for (key, _), each in zip(ordered, found, strict=True)}
        return self.mode.laid_out(sizes, by_key)

    def settled(self, before: Timetable, sizes: Mapping[str, Size]) -> Timetable | None:
        """Return a timetable of exactly `sizes`, those of `before` in their places if that works.

        What has left is dropped and the others keep their places; only where one of `sizes` has
        no place in `before`, or another size there, is all laid out anew, or else the new ones
        beside the others. None where no timetable is found.
        """
        return self.settled_soon(before, sizes) or self.arrange(sizes, search_longer=True)

    def settled_soon(self, before: Timetable, sizes: Mapping[str, Size]) -> Timetable | None:
        """Return what `settled` does, without the longer search."""
        kept = remaining(self.mode.adopted(before), sizes)
        if len(kept.keys) == len(sizes):
            return kept
        return self.arrange(sizes) or beside(kept, sizes)

    def _find(self, sizes: tuple[Size, ...], *, search_longer: bool) -> tuple[Any, ...] | None:
        found = self._remembered(sizes, self.mode.find, is_longer=False)
        if found is None and search_longer:
            return self._remembered(sizes, self.mode.find_longer, is_longer=True)
        return found

    def _remembered(
        self,
        sizes: tuple[Size, ...],
        search: Callable[[Sequence[Size]], tuple[Any, ...] | None],
        *,
        is_longer: bool,
    ) -> tuple[Any, ...] | None:
        key = (is_longer, sizes)
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        found = self._answers[key] = search(sizes)
        if len(self._answers) > self.capacity:
            self._answers.popitem(last=False)
        return found


@dataclass(slots=True)
class Settler:
    """Lays out what a node was told to hold: in rectangles if they hold it, else in slices.

    So a node needs to know nothing of the mode in which its pods were placed.
    """

    _rect: Packer = field(default_factory=lambda: Packer(RECT))
    _sliced: Packer = field(default_factory=lambda: Packer(SLICED))

    def settled(self, before: Timetable, sizes: Mapping[str, Size]) -> Timetable | None:
        """Return a timetable of exactly `sizes`, or None where neither mode finds one.

        Nobody moves where all have their places in `before`. Slices are tried before the longer
        search for rectangles.
        """
        kept = remaining(before, sizes)
        if len(kept.keys) == len(sizes):
            return kept
        return (
            self._rect.settled_soon(before, sizes)
            or self._sliced.settled_soon(before, sizes)
            or self._rect.arrange(sizes, search_longer=True)
            or self._sliced.arrange(sizes, search_longer=True)
        )

    def packer_of(self, timetable: Timetable) -> Packer:
        """Return the packer of the mode in which a GPU lies now."""
        return self._rect if isinstance(timetable, Layout) else self._sliced


def remaining(before: Timetable, sizes: Mapping[str, Size]) -> Timetable:
    """Return those of `before` that are among `sizes`, and of that size, in their places."""
    kept = before
    for key, size in zip(before.keys, before.sizes, strict=True):
        if sizes.get(key) != size:
            kept = kept.without(key)
    return kept


def beside(kept: Timetable, sizes: Mapping[str, Size]) -> Timetable | None:
    """Return `kept` with the others of `sizes` beside it, largest first, or None without room."""
    arranged = kept
    missing = [key for key in sizes if key not in kept.keys]
    for key in sorted(missing, key=lambda key: (-sizes[key].area, sizes[key], key)):
        larger = arranged.beside(key, sizes[key])
        if larger is None:
            return None
        arranged = larger
    return arranged


def sizes_of(timetable: Timetable) -> dict[str, Size]:
    """Return what each function of `timetable` asks, by key."""
    return dict(zip(timetable.keys, timetable.sizes, strict=True))


def short_side_left(profile: bytes, size: Size) -> int | None:
    """Return the least that `size` leaves in time or in SMs beside it, None where it does not fit.

    By the profile alone: what is left of the widest quota at its height, or of the highest SM
    partition at its width. Of 60 by 50 beside nothing else, 40 of the time is left and 50 of the
    SMs, so 40.
    """
    beside_it = profile[size.height] - size.width
    if beside_it < 0:
        return None
    highest = size.height
    while highest < GPU_SIDE and profile[highest + 1] >= size.width:
        highest += 1
    return min(beside_it, highest - size.height)


def free_sizes(profile: bytes) -> list[Size]:
    """Return every size that fits and that no larger one that fits contains, lowest first."""
    return [
        Size(profile[height], height)
        for height in range(1, GPU_SIDE + 1)
        if profile[height] and (height == GPU_SIDE or profile[height + 1] < profile[height])
    ]
