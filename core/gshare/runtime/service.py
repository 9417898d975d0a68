"""What every long-lived program of gshare does first: log to stderr, and end at a signal."""

import logging
import signal
import sys
import threading
from types import FrameType


def begin() -> threading.Event:
    """Set up the log, and return what SIGTERM and SIGINT set. Call from the main thread."""
    logging.basicConfig(
        level=logging.INFO,
        format="ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
        stream=sys.stderr,
    )
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop
