"""How long to wait before trying again: longer each time, never quite the same, never long."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of a back-off, in seconds."""

    first_s: float = 0.2
    longest_s: float = 5.0
    """Short, since a new pod waits for a scheduler that waits for this."""
    steady_s: float = 5.0
    """A try that lived this long was a success, and the next failure is a first one again."""

    def __post_init__(self) -> None:
        """Refuse bounds that make no back-off, with ValueError."""
        if not 0 < self.first_s <= self.longest_s:
            raise ValueError(f"first_s {self.first_s}: must be above 0, at most {self.longest_s}")


class Backoff:
    """Counts failures in a row. `jitter` returns a number from 0 to 1."""

    def __init__(self, pace: Pace, jitter: Callable[[], float]) -> None:
        self._pace = pace
        self._jitter = jitter
        self._failures = 0

    def after(self, lived_s: float, asked_s: float | None = None) -> float:
        """Return how long to wait after a try that lived `lived_s`.

        The wait doubles from `first_s` to `longest_s` and lies in the upper half of that, so that
        many clients of one server spread out and each still slows down. `asked_s` is what the
        server asked for (Retry-After); it is granted up to six times `longest_s`.
        """
        if lived_s >= self._pace.steady_s:
            self._failures = 0
        doubled = 1 << min(self._failures, _MOST_DOUBLINGS)
        bound_s = min(self._pace.longest_s, self._pace.first_s * doubled)
        self._failures += 1
        wait_s = bound_s * (0.5 + self._jitter() / 2)
        return max(wait_s, min(asked_s or 0.0, 6 * self._pace.longest_s))
