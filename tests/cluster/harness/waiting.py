"""Waiting until something holds."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from .errors import ClusterError

_POLL_S: Final = 0.1

T = TypeVar("T")


def wait(condition: Callable[[], T], timeout_s: float, what: str, poll_s: float = _POLL_S) -> T:
    """Return the first true value of `condition`, asked again and again; raise after `timeout_s`.

    An error of the condition counts as "not yet" and is named when time is up.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        trouble = ""
        try:
            value = condition()
            if value:
                return value
        except (ClusterError, OSError, LookupError) as error:
            trouble = f"; last error: {error}"
        if time.monotonic() >= deadline:
            raise ClusterError(f"waited {timeout_s:g} s in vain until {what}{trouble}")
        time.sleep(poll_s)
