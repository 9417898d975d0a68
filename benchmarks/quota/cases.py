"""What is measured: clients, the GPU that they share, and the bars that hold for them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .bars import Bars

WINDOW_US = 40_000
STEP_US = 200_000
"""How far two readings are apart at time scale 1: five windows, over which spread is counted."""

_LONG_US = 1000


@dataclass(frozen=True, slots=True)
class Client:
    """One lease and the program that works under it.

    A `workload` is one of client.c's. `limit_percent` is the quota limit, the request where None.
    A client that is not `held` runs without the hook: it shows what it would use by itself.
    """

    name: str
    sm_percent: int
    quota_percent: int
    kernel_us: int
    workload: str = "tight"
    limit_percent: int | None = None
    is_python: bool = False
    is_held: bool = True

    @property
    def limit(self) -> int:
        """Return the quota limit in percent."""
        return self.quota_percent if self.limit_percent is None else self.limit_percent

    @property
    def is_saturated(self) -> bool:
        """Tell whether it wants its quota all the time, so that the whole of it is due."""
        return self.workload != "light"


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: `clients` on one GPU for `seconds`, after a warm-up.

    Cases of one `topic` are judged together, by the worst of them; `runs` is how often the case is
    measured, and the median of the runs is what is judged. `depth` is the launch-ahead depth.
    """

    name: str
    topic: str
    clients: tuple[Client, ...]
    seconds: float
    bars: Bars = field(default_factory=Bars)
    depth: int = 2
    time_scale: int = 1
    hogs: int = 0
    runs: int = 1

    @property
    def window_us(self) -> int:
        """Return the window, which is as slow as the GPU is."""
        return WINDOW_US * self.time_scale

    @property
    def step_us(self) -> int:
        """Return how far two readings are apart."""
        return STEP_US * self.time_scale

    @property
    def steps(self) -> int:
        """Return how many steps the measurement takes."""
        return max(1, round(self.seconds * 1e6 / self.step_us))

    @property
    def seeks_demand(self) -> bool:
        """Tell whether its only client may want less than its quota, as it waits in between."""
        return len(self.clients) == 1 and self.clients[0].workload in {"sync", "bursts"}

    def unheld(self, seconds: float) -> "Case":
        """Return the same clients without hook and limits, to see what they demand."""
        free = tuple(replace(client, is_held=False) for client in self.clients)
        return replace(self, clients=free, seconds=seconds)


Batch = tuple[Case, ...]
"""Cases that are measured at the same time, each on a GPU of its own; of one length and scale."""


def batches(cases: Iterable[Case], lanes: int) -> list[Batch]:
    """Group cases so that up to `lanes` run at once, where each takes little of the host."""
    found: list[list[Case]] = []
    for case in cases:
        last = found[-1] if found else []
        if _is_light(case) and 0 < len(last) < lanes and _fits(last[0], case):
            last.append(case)
        else:
            found.append([case])
    return [tuple(batch) for batch in found]


def _is_light(case: Case) -> bool:
    """Tell whether the case needs so little of the host that others may run beside it."""
    return len(case.clients) == 1 and case.hogs == 0 and case.clients[0].kernel_us >= _LONG_US


def _fits(first: Case, other: Case) -> bool:
    same = first.seconds == other.seconds and first.time_scale == other.time_scale
    return _is_light(first) and same and first.runs == other.runs
