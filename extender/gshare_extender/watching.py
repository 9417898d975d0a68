"""Follows pods and nodes, and says whether what is known can be relied on."""

import time
from typing import Final

from gshare.runtime.kube import ApiServer, Following, Made, Node, Pod, Reflector

from . import interpreter
from .cluster import Cluster
from .seen import SeenNode, SeenPod

# A pod without a node holds nothing, and is shown with each question about it. That one which waits
# was deleted is not told; what is held for it expires. A pod that has ended holds nothing either:
# the API server itself reports it as deleted. Failed ones are shown, since the reason says whether
# the node has turned the pod away.
_PLACED_PODS: Final = "spec.nodeName!=,status.phase!=Succeeded"
PODS: Final = Made(Pod, SeenPod.of)
NODES: Final = Made(Node, SeenNode.of)


class Watches:
    """The two reflectors that feed a cluster."""

    def __init__(self, api: ApiServer, cluster: Cluster) -> None:
        self.pods = Reflector(
            api,
            "/api/v1/pods",
            PODS,
            cluster.take_seen_pod,
            on_sync=self._listed,
            keeps=lambda pod: pod.matters,
            following=Following(field_selector=_PLACED_PODS),
        )
        self.nodes = Reflector(
            api, "/api/v1/nodes", NODES, cluster.take_seen_node, on_sync=self._listed
        )
        self._cluster = cluster
        self._is_laid_out = False

    def start(self) -> None:
        """Begin to follow."""
        self.nodes.start()
        self.pods.start()

    def stop(self) -> None:
        """Stop following."""
        self.pods.stop()
        self.nodes.stop()

    def trouble(self) -> str:
        """Say in one line why what is known cannot be relied on; empty where it can."""
        now = time.monotonic()
        for name, reflector in self._by_name():
            if not reflector.is_synced:
                return f"gshare does not know the {name} yet: {reflector.trouble}"
            if reflector.is_stale(now):
                return f"gshare has lost sight of the {name}: {reflector.trouble}"
        return "" if self._is_laid_out else "gshare lays out the GPUs of the pods that it found"

    def _listed(self) -> None:
        """Lay everything out once both lists are known."""
        if self.pods.is_synced and self.nodes.is_synced:
            self._cluster.lay_out()
            interpreter.keep()
            self._is_laid_out = True

    def connected(self) -> dict[str, bool]:
        """Return which of the two watches are open."""
        return {name: not reflector.trouble for name, reflector in self._by_name()}

    def _by_name(self) -> tuple[tuple[str, Reflector[SeenPod] | Reflector[SeenNode]], ...]:
        return (("nodes", self.nodes), ("pods", self.pods))
