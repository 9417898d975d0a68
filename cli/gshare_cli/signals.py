"""Ctrl-C and SIGTERM: the first asks for an orderly stop, the second for a quick one."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether we were asked to stop; `on_second` is called at each signal after the first."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.on_second: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over within the block."""
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in STOPPING:
                loop.remove_signal_handler(number)

    @property
    def is_asked(self) -> bool:
        """Tell whether a signal came."""
        return self._asked.is_set()

    async def or_end_of(self, work: Awaitable[object]) -> None:
        """Wait for `work` or for a signal; what does not end is cancelled, errors are raised."""
        working = asyncio.ensure_future(work)
        waiting = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, waiting):
                task.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)

    def ask(self) -> None:
        """Ask for an orderly stop, as the first signal does."""
        self._asked.set()

    def _on_signal(self) -> None:
        if self._asked.is_set():
            self.on_second()
        self.ask()
