"""Chooses a GPU for a function (`choice`): a snapshot and a request in, a placement out."""

from .choice import RELAYOUT_CANDIDATES, choose, place_all, release
from .nearness import distance, missing, nearest_free, size_text, weights_text
from .values import (
    SMALLEST_DEFAULT_MEMORY_BYTES,
    Gpu,
    Placement,
    Plan,
    Refusal,
    Request,
    Snapshot,
)

__all__ = [
    "RELAYOUT_CANDIDATES",
    "SMALLEST_DEFAULT_MEMORY_BYTES",
    "Gpu",
    "Placement",
    "Plan",
    "Refusal",
    "Request",
    "Snapshot",
    "choose",
    "distance",
    "missing",
    "nearest_free",
    "place_all",
    "release",
    "size_text",
    "weights_text",
]
