"""Nodes whose kubelet turns our pods away, to be left alone for a moment. Pure.

While a node's device plugin starts again the kubelet fails each pod that arrives, for good
(UnexpectedAdmissionError), and its Deployment makes another at once; the node's allocatable tells
of it only some seconds later. So a node that turned a pod away gets none for `FIRST_S`, for twice
as long each time that it does so again, until what it offers changes.
"""

from dataclasses import dataclass, field
from typing import Final

FIRST_S: Final = 3.0
LONGEST_S: Final = 12.0
TURNED_AWAY: Final = "UnexpectedAdmissionError"


@dataclass(slots=True)
class _Rest:
    until_s: float
    length_s: float


@dataclass(slots=True)
class Resting:
    """Which nodes are left alone, and until when."""

    _rests: dict[str, _Rest] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)

    def turned_away(self, node: str, now_s: float) -> None:
        """Take note that `node` has turned a pod away; several at once count as one."""
        rest = self._rests.get(node)
        if rest is None:
            self._rests[node] = _Rest(now_s + FIRST_S, FIRST_S)
        elif now_s >= rest.until_s:
            rest.length_s = min(2 * rest.length_s, LONGEST_S)
            rest.until_s = now_s + rest.length_s
            self._over.discard(node)

    def changed(self, node: str) -> bool:
        """Take note that what `node` offers has changed; tell whether it was left alone."""
        self._over.discard(node)
        return self._rests.pop(node, None) is not None

    def rests(self, node: str, now_s: float) -> bool:
        """Tell whether `node` is left alone."""
        rest = self._rests.get(node)
        return rest is not None and now_s < rest.until_s

    def now(self, now_s: float) -> set[str]:
        """Return all nodes that are left alone."""
        return {node for node, rest in self._rests.items() if now_s < rest.until_s}

    def over(self, now_s: float) -> list[str]:
        """Return the nodes that may be tried again since the last call; forget old ones."""
        found = [
            node
            for node, rest in self._rests.items()
            if rest.until_s <= now_s and node not in self._over
        ]
        self._over.update(found)
        for node in [each for each in self._over if self._is_old(each, now_s)]:
            self.changed(node)
        return found

    def _is_old(self, node: str, now_s: float) -> bool:
        return self._rests[node].until_s + 2 * LONGEST_S < now_s
