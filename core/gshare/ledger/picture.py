"""All that a ledger has at one moment, to be looked at while the ledger goes on."""

from collections.abc import Mapping
from dataclasses import dataclass

from gshare.annotations import NodeGpu
from gshare.placement import Snapshot

from .values import PlacedPod, Problem, Reservation, UnplacedPod

Shown = tuple[tuple[NodeGpu, ...], tuple[Snapshot, ...]]
"""A node's GPUs, and the same with what is on each."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The nodes that are seen, by name, the pods on them, by UID, and what else a ledger tells."""

    shown: Mapping[str, Shown]
    pods: Mapping[str, PlacedPod | UnplacedPod]
    held: tuple[Reservation, ...]
    troubles: tuple[Problem, ...]

    def nodes(self) -> tuple[str, ...]:
        """Return the nodes, by name."""
        return tuple(sorted(self.shown))

    def inventory(self, node: str) -> tuple[NodeGpu, ...]:
        """Return what `node` says of its GPUs."""
        return self.shown[node][0]

    def snapshots(self, node: str) -> tuple[Snapshot, ...]:
        """Return the GPUs of `node` with the layout of what is on each, keyed by pod UID."""
        return self.shown[node][1]

    def pod(self, uid: str) -> PlacedPod | UnplacedPod | None:
        """Return what is seen of a pod on a node."""
        return self.pods.get(uid)

    def reservations(self) -> tuple[Reservation, ...]:
        """Return every reservation."""
        return self.held

    def problems(self) -> tuple[Problem, ...]:
        """Return everything that is inconsistent, by node."""
        return self.troubles
