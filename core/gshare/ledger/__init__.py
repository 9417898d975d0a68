"""Who holds which rectangle of which GPU of a cluster, and where a pod fits."""

from .ledger import Ledger
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

__all__ = [
    "Candidate",
    "Ground",
    "Ledger",
    "NodeRefusal",
    "PlacedPod",
    "Problem",
    "ProblemKind",
    "Ranking",
    "RefusalKind",
    "Reservation",
    "UnplacedPod",
]
