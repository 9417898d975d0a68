"""What filter and prioritize answer: from the scheduler's messages to the cluster and back.

Nodes that do not take a pod are all "unresolvable": the scheduler cannot preempt for resources
that it ignores, and would evict in vain. Their texts are few, since a pod's event groups by text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gshare.errors import InputError
from gshare.ledger import Ranking
from gshare.placement import Request
from gshare.runtime.kube import Pod

from . import reading
from .cluster import Cluster
from .messages import FilterArgs, FilterResult, HostPriority, PreemptionArgs, PreemptionResult

BEST_SCORE = 10
_NODE_CACHE = (
    "the extender entry of the KubeSchedulerConfiguration lacks nodeCacheCapable: true, "
    "which gshare needs"
)


@dataclass(frozen=True, slots=True)
class Demand:
    """A pod that no node takes, and the nodes that everything else would allow it."""

    pod: Pod
    request: Request
    nodes: tuple[str, ...]


class Verbs:
    """Answers filter, prioritize and preempt.

    `trouble` says why nothing can be answered; empty if it can. `refused` is told each
    pod that no node takes.
    """

    def __init__(
        self, cluster: Cluster, trouble: Callable[[], str], refused: Callable[[Demand], None]
    ) -> None:
        self._cluster = cluster
        self._trouble = trouble
        self._refused = refused

    def filter(self, args: FilterArgs) -> FilterResult:
        """Return the best nodes for a pod."""
        trouble = _NODE_CACHE if args.node_names is None else self._trouble()
        if trouble or args.node_names is None:
            return FilterResult(error=trouble)
        nodes = args.node_names
        try:
            request = reading.request(args.pod)
            preference = reading.preference(args.pod, self._cluster.settings.policy)
        except InputError as error:
            text = f"{error.field}: {error.value!r}: {error.problem}"
            return FilterResult((), dict.fromkeys(nodes, text))
        if request is None:
            return FilterResult(tuple(nodes))
        seen = self._cluster.seen_on(request.key)
        if seen is not None:
            return _only(seen, nodes)
        ranking = self._cluster.offer(request, nodes, preference)
        if not ranking.candidates:
            self._refused(Demand(args.pod, request, tuple(nodes)))
        return _result(ranking)

    def prioritize(self, args: FilterArgs) -> list[HostPriority]:
        """Return scores by the order in which filter offered the nodes, 10 for the best."""
        offered = self._cluster.offered(args.pod.metadata.uid)
        places = {node: place for place, node in enumerate(offered)}
        return [
            HostPriority(node, max(0, BEST_SCORE - places.get(node, BEST_SCORE)))
            for node in args.node_names or ()
        ]

    def preempt(self, args: PreemptionArgs) -> PreemptionResult:
        """Return the nodes where the scheduler's victims leave room for the rectangle too.

        It evicts for resources that it counts itself; elsewhere they would go in vain.
        """
        asked = args.node_name_to_meta_victims or {}
        try:
            request = None if self._trouble() else reading.request(args.pod)
        except InputError:
            request = None
        if request is None:
            return PreemptionResult({})
        return PreemptionResult(
            {
                node: victims
                for node, victims in asked.items()
                if self._cluster.could_take(request, node, {pod.uid for pod in victims.pods or ()})
            }
        )


def _only(node: str, nodes: Sequence[str]) -> FilterResult:
    """Return the one node on which a pod is already."""
    text = "pod is on another node already"
    refused = {name: text for name in nodes if name != node}
    return FilterResult([name for name in nodes if name == node], refused)


def _result(ranking: Ranking) -> FilterResult:
    return FilterResult(
        [each.node for each in ranking.candidates],
        ranking.refusals,
    )
