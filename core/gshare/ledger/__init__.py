"""Who holds which rectangle of which GPU of a cluster, and where a pod fits.

The values come without numpy, which takes longer to import than most commands to run: the ledger
itself is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from .picture import Picture
from .state import GpuState
from .values import (
    Candidate,
    Ground,
    NodeRefusal,
    PlacedPod,
    Problem,
    ProblemKind,
    Ranking,
    RefusalKind,
    Reservation,
    UnplacedPod,
)

if TYPE_CHECKING:
    from .ledger import Ledger

__all__ = [
    "Candidate",
    "GpuState",
    "Ground",
    "Ledger",
    "NodeRefusal",
    "Picture",
    "PlacedPod",
    "Problem",
    "ProblemKind",
    "Ranking",
    "RefusalKind",
    "Reservation",
    "UnplacedPod",
]


def __getattr__(name: str) -> object:
    if name != "Ledger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .ledger import Ledger  # noqa: PLC0415 (see above)

    return Ledger
