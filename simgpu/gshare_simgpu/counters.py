"""What ran on a simulated GPU, as the GPU itself saw it: the judge of every promise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """What the processes of one label have used since the GPU was made; it outlives them.

    `memory_bytes` and `processes` are of now.
    """

    label: str
    busy_ns: int
    """Time in which at least one of its kernels or copies ran."""
    kernel_ns: int
    """Time in which at least one of its kernels ran."""
    sm_time_ns: int
    """SMs that its kernels had, integrated over time."""
    calls: int
    """Calls that put work on the GPU: launches, copies, memsets, prefetches, host functions."""
    launches: int
    """Of the calls, those that launch a kernel or a graph. A call that is captured is none."""
    kernels: int
    """Kernels queued, those of graphs included."""
    memory_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class GpuCounters:
    """One consistent reading. `now_ns` is CLOCK_MONOTONIC."""

    now_ns: int
    busy_ns: int
    """Time in which at least one kernel or copy ran."""
    kernel_ns: int
    """Time in which at least one kernel ran."""
    sm_time_ns: int
    overcommitted_ns: int
    """Time in which running kernels, each under its cap, wanted more SMs than there are."""
    stalled_ns: int
    """Time in which work was queued and none of it ran: it waited for the host, or for an event."""
    memory_used_bytes: int
    accounts: tuple[Account, ...]

    def account(self, label: str) -> Account:
        """Return the account of `label`, all zero where it never ran."""
        found = (account for account in self.accounts if account.label == label)
        return next(found, Account(label, 0, 0, 0, 0, 0, 0, 0, 0))
