"""Bounds that are certain to mean "no": they never refuse a set of sizes that fits one GPU.

Idea. A dual feasible function f maps each set of lengths that fit side by side into 100 to lengths
that still do. At each instant the SM partitions of those that run fit into 100, so in every
timetable, sliced or not, the areas quota x f(SM) add up to at most 10,000. Where each function is
one rectangle, the same holds across quotas, so f(quota) x g(SM) may be summed. Cut into slices,
quotas need not lie side by side at any one height, and only the first kind holds.

Worked example. Three functions of 50 percent of the SMs, for 60, 60 and 80 percent of the time:
no two of them fit one after another (120 percent of the time), so as rectangles they would be
100 x 50 each, 15,000 in all. Sliced, two of them run at any time and all is well.

Sources: S. Fekete and J. Schepers, "New Classes of Lower Bounds for Bin Packing Problems" (1998),
for both families: `_rounded` and `_split`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from gshare.rectangles import GPU_RECTANGLE, GPU_SIDE, Size

# For how many functions side by side `_split` is tried: above, others bound better.
_MOST_SIDE_BY_SIDE: Final = 5


def is_impossible(sizes: Iterable[Size]) -> bool:
    """Tell whether no layout of rectangles holds `sizes`; False proves nothing.

    Threshold 0 gives the plain area; threshold 50 on SMs says that functions above 50 percent of
    the SMs share the window (sum of quota at most 100), and the same with both exchanged.
    """
    sizes = tuple(sizes)
    if is_impossible_sliced(sizes):
        return True
    widths = [_rounded([size.width for size in sizes], t) for t in _thresholds(sizes, "width")]
    heights = [_rounded([size.height for size in sizes], t) for t in _thresholds(sizes, "height")]
    return any(_exceeds(row, column) for row in widths for column in heights)


def is_impossible_sliced(sizes: Iterable[Size]) -> bool:
    """Tell whether no timetable at all holds `sizes`; False proves nothing."""
    sizes = tuple(sizes)
    if sum(size.area for size in sizes) > GPU_RECTANGLE.area:
        return True
    widths = [size.width for size in sizes]
    heights = [size.height for size in sizes]
    return any(
        _exceeds(widths, _rounded(heights, threshold)) for threshold in _thresholds(sizes, "height")
    ) or any(
        _exceeds(widths, _split(heights, count), scale=count)
        for count in range(1, _MOST_SIDE_BY_SIDE + 1)
    )


def _exceeds(widths: Sequence[int], heights: Sequence[int], scale: int = 1) -> bool:
    area = sum(width * height for width, height in zip(widths, heights, strict=True))
    return area > scale * GPU_RECTANGLE.area


def _thresholds(sizes: Iterable[Size], side: str) -> list[int]:
    """Return the thresholds, 0-50, at which `_rounded` changes for these lengths."""
    lengths = {int(getattr(size, side)) for size in sizes}
    changes = {GPU_SIDE - length + 1 for length in lengths if 2 * length > GPU_SIDE}
    return sorted({0} | changes)


def _rounded(lengths: Iterable[int], threshold: int) -> list[int]:
    """Drop lengths below `threshold` and fill those above 100 - threshold up to 100."""
    return [
        0 if length < threshold else GPU_SIDE if length > GPU_SIDE - threshold else length
        for length in lengths
    ]


def _split(lengths: Iterable[int], count: int) -> list[int]:
    """Round to whole parts, times `count`: of lengths above 100 / (count + 1), `count` fit.

    A length x with (count + 1) x / 100 whole stays; others become floor((count + 1) x / 100)
    parts of 100 / count. Everything is multiplied by `count`, to stay whole.
    """
    parts = [divmod((count + 1) * length, GPU_SIDE) for length in lengths]
    return [
        whole * GPU_SIDE if rest else length * count
        for (whole, rest), length in zip(parts, lengths, strict=True)
    ]
