"""What is remembered of each pod and node that a watch has shown. Pure.

A cluster has a hundred thousand pods that nobody asks about again: of one that has its place the
ledger's value is kept, and of the rest only what tells one version of it from another.
"""

from dataclasses import dataclass

from gshare.ledger import PlacedPod, UnplacedPod
from gshare.runtime.kube import Node, Pod
from gshare.runtime.kube.objects import Meta

from . import reading
from .reading import Offer


@dataclass(frozen=True, slots=True)
class SeenPod:
    """A pod. `holds` is what it holds on its node; where that is nothing, `pod` is all of it."""

    version: str
    holds: PlacedPod | UnplacedPod | None
    pod: Pod | None

    @classmethod
    def of(cls, pod: Pod) -> "SeenPod":
        """Return what is to be remembered of `pod`."""
        holds = reading.observed(pod)
        return cls(pod.metadata.resource_version, holds, None if holds else pod)

    @property
    def metadata(self) -> Meta:
        """Return who it is, and at which version."""
        if self.pod is not None:
            return self.pod.metadata
        assert self.holds is not None  # noqa: S101 (one of the two is there)
        holds = self.holds
        return Meta(holds.name, holds.namespace, holds.uid, self.version)

    @property
    def uid(self) -> str:
        """Return its UID."""
        return self.holds.uid if self.holds else self.metadata.uid

    @property
    def node(self) -> str:
        """Return its node; empty where it has none yet."""
        if self.holds is not None:
            return self.holds.node
        return self.pod.spec.node_name if self.pod else ""

    @property
    def matters(self) -> bool:
        """Tell whether it has a place, or may want one."""
        if self.pod is None:
            return True
        return not self.pod.is_ended and reading.asks(self.pod)

    @property
    def failed_for(self) -> str:
        """Return the reason why it has ended for good; empty where it has not."""
        return self.pod.status.reason if self.pod and self.pod.is_ended else ""


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node, and what it offers."""

    name: str
    uid: str
    version: str
    offer: Offer

    @classmethod
    def of(cls, node: Node) -> "SeenNode":
        """Return what is to be remembered of `node`."""
        meta = node.metadata
        return cls(meta.name, meta.uid, meta.resource_version, reading.offer(node))

    @property
    def metadata(self) -> Meta:
        """Return who it is, and at which version."""
        return Meta(self.name, uid=self.uid, resource_version=self.version)
