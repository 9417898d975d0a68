"""Rectangles of a GPU, in whole percents: x is time (quota), y is space (SMs).

A GPU rectangle is 100 wide and 100 high. A rectangle includes its left and lower edges and not
its right and upper ones, so neighbours that share an edge do not overlap.
"""

import functools
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

GPU_SIDE: Final = 100


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """What a function asks of a GPU: quota request wide, SM partition high, both 1-100 percent."""

    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse what could lie on no GPU, with ValueError."""
        if not (1 <= self.width <= GPU_SIDE and 1 <= self.height <= GPU_SIDE):
            raise ValueError(f"a size is 1-100 by 1-100 percent, not {self.width} by {self.height}")

    @property
    def area(self) -> int:
        """Return width times height; a whole GPU is 10,000."""
        return self.width * self.height


@functools.lru_cache(GPU_SIDE * GPU_SIDE)
def size_of(width: int, height: int) -> Size:
    """Return that size, one object each: a cluster's pods have few different ones."""
    return Size(width, height)


@dataclass(frozen=True, slots=True, order=True)
class Rectangle:
    """A size at a place inside the GPU rectangle; (x, y) is the lower left corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse what is empty or reaches out of the GPU, with ValueError."""
        inside = (
            self.x >= 0
            and self.y >= 0
            and self.width >= 1
            and self.height >= 1
            and self.right <= GPU_SIDE
            and self.top <= GPU_SIDE
        )
        if not inside:
            raise ValueError(f"{self} is empty or reaches out of the 100 by 100 GPU rectangle")

    @property
    def right(self) -> int:
        """Return the first percent of the window that is no longer in the rectangle."""
        return self.x + self.width

    @property
    def top(self) -> int:
        """Return the first percent of the SMs that is no longer in the rectangle."""
        return self.y + self.height

    @property
    def size(self) -> Size:
        """Return the rectangle without its place."""
        return size_of(self.width, self.height)

    @property
    def area(self) -> int:
        """Return width times height; a whole GPU is 10,000."""
        return self.width * self.height

    def contains(self, other: "Rectangle") -> bool:
        """Tell whether no part of `other` lies outside."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right
            and other.top <= self.top
        )

    def intersects(self, other: "Rectangle") -> bool:
        """Tell whether the two share more than an edge."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.top
            and other.y < self.top
        )


by_sides: Final = attrgetter("width", "height")
"""The key that sorts sizes as they compare, and several times faster."""

GPU_RECTANGLE: Final = Rectangle(0, 0, GPU_SIDE, GPU_SIDE)
