"""When a container that ended starts again, as Kubernetes would have it.

The pause doubles with each end in a row, as in CrashLoopBackOff, but from 1 s instead of 10 s: on
one's own machine a crash is usually being looked at. A container that ran for ten minutes has
proved itself, and its next end counts as the first.
"""

from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_S: Final = 1
LONGEST_PAUSE_S: Final = 300
PROVED_AFTER_S: Final = 600


@dataclass(frozen=True, slots=True)
class BackOff:
    """How many times in a row a container ended, and the pause before it starts again."""

    ends_in_a_row: int = 0

    @property
    def pause_s(self) -> int:
        """Return the pause after the last end; 0 before the first."""
        if not self.ends_in_a_row:
            return 0
        return int(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (self.ends_in_a_row - 1)))

    def after_end(self, ran_s: float) -> "BackOff":
        """Return the back-off after an end that followed `ran_s` seconds of running."""
        return BackOff(1 if ran_s >= PROVED_AFTER_S else min(self.ends_in_a_row + 1, 30))


def starts_again(restart_policy: str, exit_code: int) -> bool:
    """Tell whether a container with this policy (Always, OnFailure, Never) starts again."""
    return restart_policy == "Always" or (restart_policy == "OnFailure" and exit_code != 0)
