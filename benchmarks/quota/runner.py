"""Measures batches, again where the host was busy, and finds out what clients demand."""

from collections.abc import Callable
from dataclasses import replace

from gshare.runtime.native import Native

from .cases import Batch, Case
from .measure import Promises, Run, measure

_DEMAND_S = 2.0
_CERTAIN_PERCENT = 120
"""A client whose demand exceeds its quota by this much is sure to want all of it."""


class Runner:
    """Measures batches. `most_attempts` is how often a batch is tried for a quiet host."""

    def __init__(self, native: Native, most_attempts: int, say: Callable[[str], None]) -> None:
        self._native = native
        self._most_attempts = most_attempts
        self._say = say
        self._demands: dict[tuple[int, str], float] = {}

    def run(self, batch: Batch) -> list[Run]:
        """Return a run of each case, from the attempt in which the host was most quiet."""
        best: list[Run] = []
        for attempt in range(1, self._most_attempts + 1):
            runs = measure(batch, [self._promises(case) for case in batch], self._native)
            if not best or runs[0].host_busy_percent < best[0].host_busy_percent:
                best = runs
            best = [replace(run, attempts=attempt) for run in best]
            if not runs[0].host_was_busy:
                break
            busy = runs[0].host_busy_percent
            self._say(f"{batch[0].name}: run {attempt}: others used {busy:.0f} % of the host")
        return best

    def _promises(self, case: Case) -> Promises:
        """Return what is promised where a client may want less than its quota by itself."""
        if not case.seeks_demand:
            return {}
        client = case.clients[0]
        key = (client.kernel_us, client.workload)
        known = self._demands.get(key, 0.0)
        if known * 100 < client.quota_percent * _CERTAIN_PERCENT:
            (free,) = measure((case.unheld(_DEMAND_S),), [{}], self._native)
            self._demands[key] = known = free.leases[0].delivered
        return {client.name: min(float(client.quota_percent), known)}
