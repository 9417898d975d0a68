"""Searches a timetable in which a quota may be cut into slices of the window.

Idea. The percents of a window may change places freely: what counts is who runs at each, not when
it comes. So a GPU is a histogram, the SMs that are free at each percent, and its free part is a
staircase: a function of quota q and SM partition s fits exactly if at least q percents have s free.

Invariant. `Segment`s are pieces of the window: a width, and the set of those who run in it as bits
by index. Their widths add up to 100, in each the SM partitions add up to at most 100, and each
function's segments add up to its quota. A function put in splits one segment at most, so n
functions make at most n + 1 of them.

Order of the search (`find`), which decides by the multiset of sizes alone:
  1. bounds that are certain to mean "no" (`bounds.is_impossible_sliced`);
  2. `stacked`: the functions one after another onto the staircase, for each order of
     `layout.ORDERS`, taking the tightest percents that have room first, and the loosest. Both are
     needed: tightest first piles load where a long quota later finds too few percents, loosest
     first leaves nothing for high partitions;
  3. the same, where what found no room moves to the front of the order and all starts anew;
  4. rectangles (`layout.find`), so whatever they hold is held here too.
Then `in_order` puts the segments into an order that needs few slices.

Worked example. Three functions of 50 percent of the SMs, for 80, 60 and 60 percent of the window,
fit as no rectangles. The first takes 80 percents; the second, loosest first, the 20 that are empty
and 40 beside the first; the third the 20 where only the second runs and the 40 where only the
first does. Played in the order {1,3} 40, {1,2} 40, {2,3} 20, the third has two slices, the others
one.

Sources: R. McNaughton, "Scheduling with Deadlines and Loss Functions" (1959), for what cutting
earns; the staircase with both orders is this project's.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from gshare import layout
from gshare.bounds import is_impossible_sliced
from gshare.layout import ORDERS, Slice
from gshare.rectangles import GPU_SIDE, Size
from gshare.wire import MAX_SLICES

Segment = tuple[int, int]
"""Width, and who runs in it: one bit for each function."""

Slices = tuple[tuple[Slice, ...], ...]
"""The pieces of each function, in the order of the sizes."""

# Free SMs, width, who runs there; sorted by free SMs.
_Step = tuple[int, int, int]

# How often one order is mended by moving what found no room to its front.
_MENDINGS: Final = 4
_LONGER_MENDINGS: Final = 60


def find(sizes: Sequence[Size]) -> Slices | None:
    """Return the slices of each of `sizes`, in their order, or None where none are found.

    The answer is the same for every permutation of `sizes`, but for equal sizes' slices.
    """
    return _found(sizes, _MENDINGS)


def find_longer(sizes: Sequence[Size]) -> Slices | None:
    """Search on where `find` gave up: longer, and then for rectangles."""
    found = _found(sizes, _LONGER_MENDINGS)
    if found is not None:
        return found
    places = layout.find(sizes) or layout.find_longer(sizes)
    return None if places is None else tuple(((each.x, each.width),) for each in places)


def stacked(sizes: Sequence[Size], order: Sequence[int], *, loosest: bool) -> list[Segment] | int:
    """Put `sizes` one after another, by index in `order`, onto the staircase of an empty GPU.

    The segments of all; or where one has no room, its place in `order`.
    """
    steps: list[_Step] = [(GPU_SIDE, GPU_SIDE, 0)]
    for place, index in enumerate(order):
        size = sizes[index]
        added = _added(steps, size, 1 << index, loosest=loosest)
        if added is None:
            return place
        steps = added
    return merged((width, members) for _, width, members in steps)


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """Return `segments` in an order that needs few slices.

    Each is inserted where it starts fewest new slices, widest first; then single segments move
    for as long as that saves any.
    """
    path: list[Segment] = []
    for segment in sorted(segments, key=lambda each: (-each[1].bit_count(), each)):
        path.insert(_best_place(path, segment)[1], segment)
    for _ in range(len(path)):
        if not _moved(path):
            break
    return path


def slices_of(segments: Iterable[Segment], count: int) -> Slices:
    """Return the slices of functions 0 to `count` - 1 when `segments` are played in this order."""
    slices: list[list[Slice]] = [[] for _ in range(count)]
    now = 0
    for width, members in segments:
        for index in _bits(members):
            mine = slices[index]
            if mine and sum(mine[-1]) == now:
                mine[-1] = (mine[-1][0], mine[-1][1] + width)
            else:
                mine.append((now, width))
        now += width
    return tuple(tuple(mine) for mine in slices)


def segments_of(slices: Sequence[Sequence[Slice]]) -> list[Segment]:
    """Return the window cut where any of `slices` starts or ends, in order: `slices_of` undone."""
    cuts = {0, GPU_SIDE}
    for mine in slices:
        cuts.update(edge for start, width in mine for edge in (start, start + width))
    borders = sorted(cuts)
    members = dict.fromkeys(borders, 0)
    for index, mine in enumerate(slices):
        for start, width in mine:
            for border in borders:
                if start <= border < start + width:
                    members[border] |= 1 << index
    return [(end - start, members[start]) for start, end in itertools.pairwise(borders)]


def _found(sizes: Sequence[Size], mendings: int) -> Slices | None:
    if is_impossible_sliced(sizes):
        return None
    for segments in _stackings(sizes, mendings):
        slices = slices_of(in_order(segments), len(sizes))
        if max((len(mine) for mine in slices), default=0) <= MAX_SLICES:
            return slices
    return None


def _stackings(sizes: Sequence[Size], mendings: int) -> Iterable[list[Segment]]:
    """Yield ways to stack all of `sizes`, the plain ones first."""
    indices = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    orders: dict[tuple[Size, ...], list[int]] = {}
    for worth in ORDERS.values():
        order = sorted(indices, key=lambda index: worth(sizes[index]), reverse=True)
        orders.setdefault(tuple(sizes[index] for index in order), order)
    failed: list[tuple[list[int], bool, int]] = []
    for order in orders.values():
        for loosest in (False, True):
            answer = stacked(sizes, order, loosest=loosest)
            if isinstance(answer, int):
                failed.append((order, loosest, answer))
            else:
                yield answer
    for order, loosest, place in failed:
        yield from _mended(sizes, list(order), place, mendings, loosest=loosest)


def _mended(
    sizes: Sequence[Size], order: list[int], place: int, mendings: int, *, loosest: bool
) -> Iterable[list[Segment]]:
    """Yield the stacking that holds all, once moving what found no room to the front gives one."""
    tried = set()
    for _ in range(mendings):
        order.insert(0, order.pop(place))
        attempt = tuple(sizes[index] for index in order)
        if attempt in tried:
            return
        tried.add(attempt)
        answer = stacked(sizes, order, loosest=loosest)
        if not isinstance(answer, int):
            yield answer
            return
        place = answer


def _added(steps: list[_Step], size: Size, bit: int, *, loosest: bool) -> list[_Step] | None:
    """Return `steps` with one more function, or None where too few percents have room."""
    width, height = size.width, size.height
    roomy = [step for step in steps if step[0] >= height]
    if sum(step[1] for step in roomy) < width:
        return None
    after = [step for step in steps if step[0] < height]
    for free, wide, members in reversed(roomy) if loosest else roomy:
        taken = min(wide, width)
        width -= taken
        if taken:
            after.append((free - height, taken, members | bit))
        if taken < wide:
            after.append((free, wide - taken, members))
    after.sort()
    return after


def merged(segments: Iterable[Segment]) -> list[Segment]:
    """Return `segments` with those joined in which the same functions run."""
    widths: dict[int, int] = {}
    for width, members in segments:
        widths[members] = widths.get(members, 0) + width
    return [(width, members) for members, width in widths.items()]


def _best_place(path: Sequence[Segment], segment: Segment) -> tuple[int, int]:
    """Return how many slices inserting `segment` adds at the best place, and that place."""
    edges = [0, *(each[1] for each in path), 0]
    return min(
        (_added_slices(left, segment[1], right), place)
        for place, (left, right) in enumerate(itertools.pairwise(edges))
    )


def _added_slices(left: int, members: int, right: int) -> int:
    """Return how many slices more there are with `members` between its two neighbours."""
    starts = (members & ~left).bit_count() + (right & ~members).bit_count()
    return starts - (right & ~left).bit_count()


def _moved(path: list[Segment]) -> bool:
    """Move single segments to where they cost fewer slices; tell whether one has moved."""
    any_moved = False
    for segment in tuple(path):
        place = path.index(segment)
        left = path[place - 1][1] if place else 0
        right = path[place + 1][1] if place + 1 < len(path) else 0
        cost = _added_slices(left, segment[1], right)
        path.pop(place)
        best, better = _best_place(path, segment)
        path.insert(better if best < cost else place, segment)
        any_moved |= best < cost
    return any_moved


def _bits(members: int) -> Iterable[int]:
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest
