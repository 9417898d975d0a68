"""A place for a pod on its way, as its bind is written and as the ledger holds it."""

from dataclasses import dataclass

from gshare.annotations import PodPlacement


@dataclass(frozen=True, slots=True)
class Claim:
    """A place that is held for a pod whose bind is about to be sent, or has been."""

    uid: str
    node: str
    placement: PodPlacement
