"""Every way to place that is measured, by name: one line of a table each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from gshare.modes import RECT, SLICED
from gshare.rectangles import GPU_RECTANGLE, Size

from .fleet import Fleet, Laid, rectangles_only
from .rivals import Additive, Kept, Rectpack


def _sm(size: Size) -> int:
    return size.height


def _quota(size: Size) -> int:
    return size.width


def _area(size: Size) -> int:
    return size.area


OURS: Final = ("rect", "sliced")
UNSOUND: Final = "area only (unsound)"
RECTPACK: Final = tuple(f"rectpack {name}" for name in ("maxrects", "skyline", "guillotine"))

WAYS: Final[Mapping[str, Callable[[], Fleet]]] = MappingProxyType(
    {
        "rect": lambda: Laid(RECT),
        "sliced": lambda: Laid(SLICED),
        "maximal rectangles": rectangles_only,
        "rectpack maxrects": lambda: Rectpack("maxrects"),
        "rectpack skyline": lambda: Rectpack("skyline"),
        "rectpack guillotine": lambda: Rectpack("guillotine"),
        "SM only": lambda: Additive(_sm),
        "quota only": lambda: Additive(_quota),
        UNSOUND: lambda: Additive(_area, GPU_RECTANGLE.area),
        "kept, never restructured": lambda: Kept(restructures=False),
        "keep-restructure (paper)": lambda: Kept(restructures=True),
    }
)
"""Fleets without a GPU yet."""

KEPT: Final = ("kept, never restructured", "keep-restructure (paper)")
# Without departures "kept" is plain rectangles on the most used GPU, and rectpack knows none.
ARRIVALS: Final = tuple(name for name in WAYS if name not in KEPT)
CHURN: Final = tuple(name for name in WAYS if name not in {*RECTPACK, UNSOUND})
