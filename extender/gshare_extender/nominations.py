"""Places that are being made for pods of higher priority, as the ledger holds them. Pure."""

from collections.abc import Collection
from typing import Final

from gshare.ledger import Ledger, PlacedPod, Reservation

_LATE_S: Final = 30.0
"""How long after its grace period a pod still counts as leaving."""


def is_as_planned(ledger: Ledger, reservation: Reservation, holders: Collection[str]) -> bool:
    """Tell whether the GPU is held by exactly `holders`, and its pod has no place yet."""
    if ledger.pod(reservation.uid) or ledger.reservation(reservation.uid):
        return False
    here = [
        set(ground.snapshot.layout.keys)
        for ground in ledger.grounds((reservation.node,))
        if ground.snapshot.gpu.uuid == reservation.placement.gpu_uuid
    ]
    return here == [set(holders)]


def below(ledger: Ledger, nodes: Collection[str], priority: int) -> list[str]:
    """Return the pods of lower priority for which places are being made on `nodes`."""
    return [
        each.uid
        for each in ledger.reservations()
        if each.victims and each.priority < priority and each.node in nodes
    ]


def is_awaited(ledger: Ledger, reservation: Reservation, now_s: float) -> bool:
    """Tell whether one of its victims is in its grace period at `now_s` of the day."""
    for pod in map(ledger.pod, reservation.victims):
        leaves_at = pod.leaves_at_s if isinstance(pod, PlacedPod) else None
        if leaves_at is not None and leaves_at + _LATE_S > now_s:
            return True
    return False
