"""Names of nodes as the scheduler lists them: all that are left, with each pod, in any order. Pure.

Thousands come and a handful is answered, so they are not read: whether a few of them are there is
asked of the text itself. All of them are read where somebody wants them all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload


class NodeList(Sequence[str]):
    """The names in `content`, an array of JSON; `read` returns them all, or raises what is wrong.

    No name in Kubernetes has a character that JSON writes in another way.
    """

    def __init__(self, content: bytes, read: Callable[[], Sequence[str]]) -> None:
        self._content = content
        self._read = read
        self._names: tuple[str, ...] | None = None

    def has_all(self, names: Iterable[str]) -> bool:
        """Tell whether all of `names` are there; quickest where they stand in about this order."""
        content, at = self._content, 0
        for name in names:
            text = b'"%s"' % name.encode()
            at = content.find(text, at)
            if at < 0:
                at = content.find(text)
            if at < 0:
                return False
        return True

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        """Yield each."""
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        """Return one, or some."""
        return self._all()[at]

    def _all(self) -> tuple[str, ...]:
        if self._names is None:
            self._names = tuple(self._read())
        return self._names
