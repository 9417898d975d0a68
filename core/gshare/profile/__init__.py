"""What a function does at each shape: the data, its JSON form, the law between its points."""

from .estimate import Estimate, Origin, estimate
from .law import Law
from .schema import VERSION, read, write
from .values import (
    LATENCY_LOAD,
    FailedPoint,
    Latency,
    Point,
    Profile,
    ProfiledGpu,
    ProfileError,
)

__all__ = [
    "LATENCY_LOAD",
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
    "estimate",
    "read",
    "write",
]
