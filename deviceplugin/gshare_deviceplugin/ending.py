"""When a lease ends. Pure.

A lease outlives every doubt: it is given up when its pod is known to be over and nothing of it can
still be on the GPU. A pod is over when the API has it as Succeeded or Failed, which the kubelet
says only after its containers have ended, or when the API has it no more and the kubelet does not
list it either (a pod deleted by force runs on for a while). Then its processes must be gone, as the
token daemon sees them; a daemon that is away, or a process that cannot die, is waited for no longer
than PATIENCE_S.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

PATIENCE_S: Final = 30.0


class Fate(Enum):
    """What the API says of a pod."""

    LIVE = "live"
    ENDED = "ended"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a lease's container; None is not known."""

    fate: Fate
    is_listed: bool | None
    """Whether the kubelet says that the container has the lease's device IDs."""
    processes: int | None
    """How many processes the token daemon sees."""


def is_over(signs: Signs) -> bool:
    """Tell whether the lease's pod is over, its processes aside."""
    return signs.fate is Fate.ENDED or (signs.fate is Fate.GONE and signs.is_listed is False)


def has_ended(signs: Signs, over_for_s: float) -> bool:
    """Tell whether the lease ends now; its pod has been over for `over_for_s` seconds."""
    return is_over(signs) and (signs.processes == 0 or over_for_s >= PATIENCE_S)
