"""Which of many equal events to write: the first, then the 2nd, 4th, 8th ... of a series.

The API keeps each written event for an hour, and a reader wants the count, not a row for each. A
series that rested for `SERIES_S` is over, and the next equal event starts anew.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

SERIES_S: Final = 300.0
MOST_SERIES: Final = 1000


@dataclass(slots=True)
class _Series:
    count: int
    last_s: float
    name: str = field(default="")


class Aggregator:
    """Counts equal events by key."""

    def __init__(self) -> None:
        self._series: OrderedDict[Hashable, _Series] = OrderedDict()

    def count(self, key: Hashable, now_s: float) -> int:
        """Count one event; return how many of its series there were, this one included."""
        known = self._series.pop(key, None)
        if known is None or now_s - known.last_s > SERIES_S:
            known = _Series(0, now_s)
        known.count += 1
        known.last_s = now_s
        self._series[key] = known
        while len(self._series) > MOST_SERIES:
            self._series.popitem(last=False)
        return known.count

    def written(self, key: Hashable, name: str) -> None:
        """Remember the name under which the series stands in the cluster; empty to forget it."""
        if key in self._series:
            self._series[key].name = name

    def name_of(self, key: Hashable) -> str:
        """Return that name, empty where the series was not written yet."""
        known = self._series.get(key)
        return known.name if known else ""


def is_written(count: int) -> bool:
    """Tell whether the event that makes a series `count` long is worth a write: powers of two."""
    return count & (count - 1) == 0
