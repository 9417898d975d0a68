"""Tells where the API server's clock and this machine's differ.

No decision goes by this machine's time of day: when a leaving pod's grace period ends is compared
with the time as the API server has it (`ApiServer.now_s`), what expires goes by the monotonic
clock, and no clock of a node is read at all. But certificates, events and logs go by it, so it is
told: one event when the difference was there at two looks in a row, and a gauge.
"""

import logging
from typing import Final

from gshare.runtime.kube import EventWriter, Regarding

from .metrics import Counts

SKEW_S: Final = 10.0
"""More than an answer takes, and less than harms."""
_REASON: Final = "ClockSkewed"
_ACTION: Final = "Checking"

_log = logging.getLogger(__name__)


class ClockWatch:
    """Looks at the difference now and then; `about` is where its event stands."""

    def __init__(self, about: Regarding, events: EventWriter, counts: Counts) -> None:
        self._about = about
        self._events = events
        self._counts = counts
        self._times = 0

    def look(self, ahead_s: float) -> None:
        """Take note that the API server's clock is so far ahead; tell of it at the second look."""
        self._counts.skew.set(ahead_s)
        self._times = self._times + 1 if abs(ahead_s) > SKEW_S else 0
        if self._times == 2:
            whose = "ahead of" if ahead_s > 0 else "behind"
            note = (
                f"the API server's clock is {abs(ahead_s):.0f} s {whose} that of the machine of "
                "gshare's extender: set the clocks right; placements do not depend on them"
            )
            _log.warning("event=clock_skewed ahead_s=%.0f", ahead_s)
            self._events.post(self._about, "Warning", _REASON, _ACTION, note)
