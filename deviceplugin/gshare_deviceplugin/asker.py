"""Asks children whether they answer, on a thread of its own: a hanging one helps nobody."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

_log = logging.getLogger(__name__)

_UNANSWERED: Final = 3

Child = tuple[str, int]
"""Key and process id."""


class Asker:
    """Which children answer. One that is not heard several times in a row is silent."""

    def __init__(self, answers: Callable[[str], bool], every_s: float) -> None:
        """Take what asks the child of a key, with patience of its own, and how often to ask."""
        self._answers = answers
        self._every_s = every_s
        self._children: Mapping[str, int] = {}
        self._missed: Mapping[Child, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asker", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stopped.set()

    def ask(self, children: Mapping[str, int]) -> None:
        """Ask these children from now on: process ids by key."""
        self._children = children

    def silent(self) -> tuple[Child, ...]:
        """Return the children that ought to be replaced."""
        return tuple(each for each, count in self._missed.items() if count >= _UNANSWERED)

    def answering(self) -> tuple[Child, ...]:
        """Return the children that answered when they were last asked."""
        return tuple(each for each, count in self._missed.items() if count == 0)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._missed = {child: self._count(child) for child in self._children.items()}
            except Exception:  # noqa: BLE001 (a service loop)
                _log.exception("event=asker_failed")

    def _count(self, child: Child) -> int:
        """Return how often in a row a child was not heard, counting now."""
        return 0 if self._answers(child[0]) else self._missed.get(child, 0) + 1
