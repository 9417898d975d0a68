"""What a function does at each shape: the data, its JSON form, the law between its points.

What fits a law needs numpy, which takes longer to import than most commands to run: it is imported
when it is first asked for.
"""

from typing import TYPE_CHECKING

from .estimate import Estimate, Origin, estimate
from .schema import VERSION, read, write
from .trend import Law, Trend
from .values import (
    LATENCY_LOAD,
    UNEVEN,
    FailedPoint,
    Latency,
    Point,
    Profile,
    ProfiledGpu,
    ProfileError,
)

if TYPE_CHECKING:
    from .surface import Surface, law_of

__all__ = [
    "LATENCY_LOAD",
    "UNEVEN",
    "VERSION",
    "Estimate",
    "FailedPoint",
    "Latency",
    "Law",
    "Origin",
    "Point",
    "Profile",
    "ProfileError",
    "ProfiledGpu",
    "Surface",
    "Trend",
    "estimate",
    "law_of",
    "read",
    "write",
]


def __getattr__(name: str) -> object:
    if name not in {"Surface", "law_of"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import surface  # noqa: PLC0415 (see above)

    return getattr(surface, name)
