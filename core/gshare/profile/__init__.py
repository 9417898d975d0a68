"""What a function does at each shape: the data, its JSON form, the law between its points."""

from .estimate import Estimate, Origin, estimate
from .law import Law, Trend
from .schema import VERSION, read, write
from .surface import Surface, law_of
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
