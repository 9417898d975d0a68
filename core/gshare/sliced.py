"""A GPU's timetable in which a function may hold several slices of the window.

The twin of `layout.Layout`, which gives each function one rectangle: the same questions, the same
answers. `staircase` says why slices pack better and how they are found.

Invariant. At each percent of the window the SM partitions of those whose slices cover it add up
to at most 100; a function's slices lie apart, in order, at most `wire.MAX_SLICES` of them, which
is what a lease's page holds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gshare import staircase
from gshare.layout import Slice
from gshare.rectangles import GPU_SIDE, Rectangle, Size
from gshare.wire import MAX_SLICES

# One percent of the window is a lane of 16 bits in one integer, so that a slice is added to all
# of its percents at once.
_LANE: Final = 16
_ONES: Final = [sum(1 << (_LANE * lane) for lane in range(width)) for width in range(GPU_SIDE + 1)]


@dataclass(frozen=True, slots=True)
class Share:
    """What one function has of the GPU: percent of the SMs, during its slices of the window."""

    height: int
    slices: tuple[Slice, ...]

    def __post_init__(self) -> None:
        """Refuse what no lease could hold, with ValueError."""
        if not 1 <= self.height <= GPU_SIDE:
            raise ValueError(f"an SM partition is 1-100 percent, not {self.height}")
        if not 1 <= len(self.slices) <= MAX_SLICES:
            raise ValueError(f"a function has 1-{MAX_SLICES} slices, not {len(self.slices)}")
        end = 0
        for start, width in self.slices:
            if start < end or width < 1:
                raise ValueError(f"slices must lie apart, in order and not empty: {self.slices}")
            end = start + width
        if end > GPU_SIDE:
            raise ValueError(f"slices reach out of the window: {self.slices}")

    @property
    def size(self) -> Size:
        """Return what the function asks: its quota is the widths of its slices."""
        return Size(sum(width for _, width in self.slices), self.height)


@dataclass(frozen=True, slots=True)
class SlicedLayout:
    """Which slices the functions of one GPU hold, by key, in order of arrival.

    `free` is the percent of the SMs that is free at each percent of the window; `profile` is, for
    each height from 0 to 100, the widest quota that fits at that height.
    """

    shares: tuple[tuple[str, Share], ...] = ()
    free: tuple[int, ...] = field(init=False, repr=False, compare=False)
    profile: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a key that occurs twice and more SMs than there are, with ValueError."""
        if len({key for key, _ in self.shares}) != len(self.shares):
            raise ValueError(f"a key occurs twice in {[key for key, _ in self.shares]}")
        lanes = sum(
            _ONES[width] * share.height << (_LANE * start)
            for _, share in self.shares
            for start, width in share.slices
        )
        promised = memoryview(lanes.to_bytes(_LANE // 8 * (GPU_SIDE + 1), "little")).cast("H")
        if max(promised) > GPU_SIDE:
            raise ValueError(f"{max(promised)} percent of the SMs are promised at once")
        object.__setattr__(self, "free", tuple(GPU_SIDE - each for each in promised[:GPU_SIDE]))
        object.__setattr__(self, "profile", _profile(self.free))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the functions that have slices here."""
        return tuple(key for key, _ in self.shares)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Return what the functions ask, in the order of `keys`."""
        return tuple(share.size for _, share in self.shares)

    @property
    def used_area(self) -> int:
        """Return the area in use; a full GPU is 10,000."""
        return sum(size.area for size in self.sizes)

    @property
    def pieces(self) -> tuple[tuple[str, Rectangle], ...]:
        """Return the rectangles to draw, by key: in each part of the window one on the other."""
        slices = [share.slices for _, share in self.shares]
        drawn: list[tuple[str, Rectangle]] = []
        x = 0
        for width, members in staircase.segments_of(slices):
            y = 0
            for index, (key, share) in enumerate(self.shares):
                if members >> index & 1:
                    drawn.append((key, Rectangle(x, y, width, share.height)))
                    y += share.height
            x += width
        return tuple(drawn)

    def slices(self, key: str) -> tuple[Slice, ...]:
        """Return the pieces of the window that are `key`'s by right; their widths are its quota."""
        for candidate, share in self.shares:
            if candidate == key:
                return share.slices
        raise KeyError(key)

    def fits(self, size: Size) -> bool:
        """Tell whether `size` finds room beside the others: at enough percents of the window."""
        return self.profile[size.height] >= size.width

    def beside(self, key: str, size: Size) -> "SlicedLayout | None":
        """Return the layout with `key` beside the others, or None where it finds no room.

        It gets the tightest percents that have room. The others keep theirs, unless it would have
        several slices and another order of the window needs fewer.
        """
        if not self.fits(size):
            return None
        slices = (*(share.slices for _, share in self.shares), _runs(self._tightest(size)))
        if len(slices[-1]) > 1:
            slices = min((slices, _in_order(slices)), key=_slice_counts)
        if _slice_counts(slices)[0] > MAX_SLICES:
            return None
        heights = (*(share.height for _, share in self.shares), size.height)
        shares = [Share(height, mine) for height, mine in zip(heights, slices, strict=True)]
        return SlicedLayout(tuple(zip((*self.keys, key), shares, strict=True)))

    def without(self, key: str) -> "SlicedLayout":
        """Return the layout after `key` has left, the others in place; KeyError if not here."""
        self.slices(key)
        return replace(self, shares=tuple(share for share in self.shares if share[0] != key))

    def narrowed(self, key: str, width: int) -> "SlicedLayout":
        """Return the layout with a smaller quota of `key`, of its first slices."""
        kept: list[Slice] = []
        for start, wide in self.slices(key):
            if width:
                kept.append((start, min(wide, width)))
                width -= kept[-1][1]
        return SlicedLayout(
            tuple(
                (k, Share(share.height, tuple(kept)) if k == key else share)
                for k, share in self.shares
            )
        )

    def renamed(self, key: str, name: str) -> "SlicedLayout":
        """Return the layout with `name` in the place of `key`; KeyError if that is not here."""
        self.slices(key)
        return SlicedLayout(tuple((name if k == key else k, share) for k, share in self.shares))

    def _tightest(self, size: Size) -> set[int]:
        """Return the percents of the window that `size` gets, of those with least SMs free.

        Of equally tight ones whole runs first, the longest that are needed, so as to cut little.
        """
        taken: set[int] = set()
        for level in sorted({free for free in self.free if free >= size.height}):
            here = _runs({at for at, free in enumerate(self.free) if free == level})
            for start, width in sorted(here, key=lambda run: (-run[1], run[0])):
                wanted = min(width, size.width - len(taken))
                follows = start - 1 in taken or start + width not in taken
                begin = start if follows else start + width - wanted
                taken.update(range(begin, begin + wanted))
        return taken


class Slotted(Protocol):
    """What says which functions hold which slices, in either mode."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The functions, in order of arrival."""

    @property
    def sizes(self) -> tuple[Size, ...]:
        """What they ask, in the order of `keys`."""

    def slices(self, key: str) -> tuple[Slice, ...]:
        """Return the pieces of the window that are `key`'s by right."""


def laid_out(sizes: Mapping[str, Size], found: Mapping[str, tuple[Slice, ...]]) -> SlicedLayout:
    """Return the layout of `sizes`, in their order, with the slices that were found for each."""
    return SlicedLayout(tuple((key, Share(size.height, found[key])) for key, size in sizes.items()))


def adopted(timetable: Slotted) -> SlicedLayout:
    """Return `timetable` with the slices that its functions have there."""
    if isinstance(timetable, SlicedLayout):
        return timetable
    sizes = zip(timetable.keys, timetable.sizes, strict=True)
    return SlicedLayout(
        tuple((key, Share(size.height, timetable.slices(key))) for key, size in sizes)
    )


def _profile(free: Iterable[int]) -> bytes:
    widths = bytearray(GPU_SIDE + 1)
    for height, count in Counter(free).items():
        widths[height] = count
    for height in range(GPU_SIDE - 1, -1, -1):
        widths[height] += widths[height + 1]
    return bytes(widths)


def _runs(percents: set[int]) -> tuple[Slice, ...]:
    """Return the runs of neighbours among `percents`, in order."""
    runs: list[Slice] = []
    for percent in sorted(percents):
        if runs and sum(runs[-1]) == percent:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((percent, 1))
    return tuple(runs)


def _in_order(slices: Sequence[Sequence[Slice]]) -> staircase.Slices:
    segments = staircase.merged(staircase.segments_of(slices))
    return staircase.slices_of(staircase.in_order(segments), len(slices))


def _slice_counts(slices: Sequence[Sequence[Slice]]) -> tuple[int, int]:
    """Return the most that one function has, if it is too many, and how many there are."""
    most = max(len(mine) for mine in slices)
    return (most if most > MAX_SLICES else 0, sum(len(mine) for mine in slices))
