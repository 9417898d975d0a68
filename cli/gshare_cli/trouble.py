"""Something that is wrong and is tried again: told once for as long as it lasts."""

from collections.abc import Callable


class Trouble:
    """The trouble of now."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with each new trouble, in one line."""
        self._tell = tell
        self._told = ""

    def is_now(self, text: str) -> None:
        """Take the trouble of now, empty where there is none."""
        if text and text != self._told:
            self._tell(text)
        self._told = text
