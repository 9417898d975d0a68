"""What a GPU has delivered, and to which lease, until a moment of its clock.

Every count only grows while the GPU's token daemon, or simulator, lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .tokend import Stats


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one lease got: GPU time, and the device memory it holds now.

    `shared_bytes` is what it maps of other processes' memory, who are charged for it; None where
    its token daemon does not tell.
    """

    gpu_ns: int = 0
    memory_bytes: int = 0
    shared_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One GPU's counts until `now_ns` of its clock; `leases` by lease id."""

    now_ns: int
    busy_ns: int
    sm_time_ns: int
    leases: Mapping[str, Delivered] = field(default_factory=dict)


def by_daemon(stats: Stats, sm_count: int) -> Reading:
    """Return a GPU's counts as its token daemon meters them.

    Of holders side by side it knows each one's time and not the union, and takes every partition
    for fully used: busy and SM time are upper bounds.
    """
    return Reading(
        now_ns=stats.gpu.now_ns,
        busy_ns=sum(each.used_ns for each in stats.leases),
        sm_time_ns=sum(each.used_ns * each.sm_percent * sm_count // 100 for each in stats.leases),
        leases={
            each.lease_id: Delivered(each.used_ns, each.memory_bytes, each.imported_bytes)
            for each in stats.leases
        },
    )


def with_shared(reading: Reading, stats: Stats | None) -> Reading:
    """Return what a simulator counts, with what it does not know: who maps others' memory."""
    if stats is None:
        return reading
    shared = {each.lease_id: each.imported_bytes for each in stats.leases}
    leases = dict(reading.leases) | {
        lease_id: replace(reading.leases.get(lease_id, Delivered()), shared_bytes=size)
        for lease_id, size in shared.items()
    }
    return replace(reading, leases=leases)
