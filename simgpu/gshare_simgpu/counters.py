"""What ran on a simulated GPU, as the GPU itself saw it: the judge of every promise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """What the processes of one label have used since the GPU was made; it outlives them.

    `memory_bytes`, `host_bytes` and `processes` are of now.
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
    host_bytes: int
    """Memory of the host that its processes have pinned."""
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
        return next(found, Account(label, 0, 0, 0, 0, 0, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which kernels of one label ran without a gap, by CLOCK_MONOTONIC.

    The end of what still runs is now. A token's hand-over is the gap between one label's span and
    the next label's.
    """

    label: str
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans in the order in which they began; `next_number` is where to read on.

    A GPU keeps the last 65,536, so `first_number` is later than what was asked for where older
    ones are gone.
    """

    first_number: int
    spans: tuple[Span, ...]

    @property
    def next_number(self) -> int:
        """The number behind the last span that was read."""
        return self.first_number + len(self.spans)
