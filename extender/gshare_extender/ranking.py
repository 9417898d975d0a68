"""Finds the best of the nodes that the scheduler lists for a pod. Under the cluster's lock.

The scheduler lists thousands of nodes, mostly all there are, and to look each of them up would cost
more than to rank them. So the best of all nodes that are known are found first. Where these are on
the list they are the best of the list too; where one is not (it is cordoned, or the pod selects
others) the list is read and its own best are found, and for some pods after that nothing else is
tried.
"""

from collections.abc import Sequence
from typing import Final

from gshare.ledger import Ledger, Ranking, RefusalKind
from gshare.placement import Request
from gshare.policies import Preference

from .nodelist import NodeList
from .recovery import Resting

_PAUSE: Final = 16
"""How many pods are not tried with all nodes after one for which that was in vain."""


class Ranker:
    """Knows which nodes there are, and ranks at most `most` of those listed."""

    def __init__(self, most: int, resting: Resting) -> None:
        self._most = most
        self._resting = resting
        self._nodes: dict[str, None] = {}
        self._everyone: tuple[str, ...] = ()
        self._pause = 0

    def put(self, node: str) -> None:
        """Take note of a node."""
        if node not in self._nodes:
            self._nodes[node] = None
            self._everyone = ()

    def drop(self, node: str) -> None:
        """Take note that a node is gone."""
        self._nodes.pop(node, None)
        self._everyone = ()

    def rank(
        self,
        ledger: Ledger,
        request: Request,
        nodes: Sequence[str],
        preference: Preference,
        now_s: float,
    ) -> Ranking:
        """Return the best of `nodes`, without those that are left alone for a moment."""
        resting = self._resting.now(now_s)
        if not resting and isinstance(nodes, NodeList):
            best = self._best_of_all(ledger, request, nodes, preference)
            if best is not None:
                return best
        at_rest = [node for node in nodes if node in resting] if resting else []
        awake = [node for node in nodes if node not in resting] if at_rest else tuple(nodes)
        ranking = ledger.rank(request, awake, self._most, preference)
        if ranking.candidates or not at_rest:
            return ranking
        refused = dict.fromkeys(at_rest, RefusalKind.RESTING)
        return Ranking((), {**ranking.refusals, **refused})

    def _best_of_all(
        self, ledger: Ledger, request: Request, nodes: NodeList, preference: Preference
    ) -> Ranking | None:
        """Return the best of all nodes where these are listed; None where that is not known."""
        if self._pause:
            self._pause -= 1
            return None
        # One tuple for all questions, by which the ledger knows that they are about the same nodes.
        self._everyone = self._everyone or tuple(self._nodes)
        ranking = ledger.rank(request, self._everyone, self._most, preference)
        found = ranking.candidates
        if found and nodes.has_all(each.node for each in found):
            return ranking
        self._pause = _PAUSE
        return None
