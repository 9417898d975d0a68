"""What a lease's holder is told of it: the same on one machine and on a node of a cluster. Pure."""

from collections.abc import Iterable
from typing import Protocol

from gshare import layout
from gshare.wire import Limits, Slice, queue_budget_us


class Held(Protocol):
    """What someone holds of a GPU, whoever keeps the record of it."""

    @property
    def lease_id(self) -> str:
        """Return the lease's name on its GPU."""

    @property
    def gpu_uuid(self) -> str:
        """Return the GPU."""

    @property
    def sm_percent(self) -> int:
        """Return the SM partition."""

    @property
    def quota_request_percent(self) -> int:
        """Return the share of each window that is guaranteed."""

    @property
    def quota_limit_percent(self) -> int:
        """Return the share of each window that is allowed at most."""

    @property
    def memory_bytes(self) -> int:
        """Return the device memory that is allowed at most."""


def limits_of(held: Held, slices: Iterable[layout.Slice], window_us: int) -> Limits:
    """Return what a lease's page says; `slices` are its pieces of the window, by its layout."""
    return Limits(
        lease_id=held.lease_id,
        gpu_uuid=held.gpu_uuid,
        sm_percent=held.sm_percent,
        quota_request_percent=held.quota_request_percent,
        quota_limit_percent=held.quota_limit_percent,
        slices=tuple(Slice(start, width) for start, width in slices),
        memory_limit_bytes=held.memory_bytes,
        window_us=window_us,
        queue_budget_us=queue_budget_us(window_us),
    )
