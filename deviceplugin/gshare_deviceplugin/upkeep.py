"""A thread that does one thing again and again: when told, and after a time that it names."""

import threading
from collections.abc import Callable


class Upkeep:
    """Calls `step`, waits for as many seconds as that returns or until told, and so on."""

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._step = step
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a step."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a step under way is finished."""
        self._stopping.set()
        self._told.set()
        self._thread.join()

    def tell(self) -> None:
        """Have a step done soon: something has changed."""
        self._told.set()

    def _run(self) -> None:
        while True:
            self._told.clear()  # first: whoever stops us tells us after that
            if self._stopping.is_set():
                return
            self._told.wait(self._step())
