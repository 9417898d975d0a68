"""Keeps the log small, whatever clients do: what they cause is said a few times a second at most.

`gshare up` keeps logs on a memory file system, which a client that is refused for ever would fill.
"""

import logging
import time
from collections import defaultdict
from typing import Final

MOST_A_SECOND: Final = 10
"""Lines of one kind; what was left out is counted in the first of a later second."""


class Throttle(logging.Filter):
    """Lets a few records of each message pass in every second."""

    def __init__(self) -> None:
        super().__init__()
        self._second: defaultdict[str, int] = defaultdict(int)
        self._passed: defaultdict[str, int] = defaultdict(int)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is written, and add to it how many like it were not."""
        kind, second = str(record.msg), int(time.monotonic())
        if self._second[kind] != second:
            left_out = max(0, self._passed[kind] - MOST_A_SECOND)
            self._second[kind], self._passed[kind] = second, 0
            if left_out:
                record.msg = f"{record.msg} left_out={left_out}"
        self._passed[kind] += 1
        return self._passed[kind] <= MOST_A_SECOND


def begin() -> None:
    """Throttle everything that is logged; each handler asks once for every record."""
    throttle = Throttle()
    for handler in logging.getLogger().handlers:
        handler.addFilter(throttle)
