"""Measures batches, again where the host was busy, and finds out what clients demand."""

from collections.abc import Callable

from benchmarks.host import Measured, in_quiet
from gshare.runtime.native import Native

from .cases import Batch, Case
from .measure import Run, measure

_DEMAND_S = 1.6
_CERTAIN_PERCENT = 120
"""A client whose demand exceeds its quota by this much is sure to want all of it."""


class Runner:
    """Measures batches. `most_attempts` is how often a batch is tried for a quiet host."""

    def __init__(self, native: Native, most_attempts: int, say: Callable[[str], None]) -> None:
        self._native = native
        self._most_attempts = most_attempts
        self._say = say
        self._known: dict[tuple[int, str], float] = {}

    def run(self, batch: Batch) -> list[Measured[Run]]:
        """Return a run of each case, from the attempt in which the host was most quiet."""
        measured = in_quiet(lambda: self._measure(batch), self._most_attempts, self._say)
        return [
            Measured(run, measured.host_busy_percent, measured.attempts) for run in measured.found
        ]

    def _measure(self, batch: Batch) -> list[Run]:
        """Measure once. A demand that may be below the quota is measured before and after."""
        before = [self._demand(case) for case in batch]
        runs = measure(batch, self._native)
        after = [self._demand(case) for case in batch]
        return [
            run.demanding((first + last) / 2) if first is not None and last is not None else run
            for run, first, last in zip(runs, before, after, strict=True)
        ]

    def _demand(self, case: Case) -> float | None:
        """Return what the case's client uses without limits, in percent; None if all there is."""
        if not case.seeks_demand:
            return None
        client = case.clients[0]
        program = client.kernel_us, client.workload
        known = self._known.get(program, 0.0)
        if known * 100 < client.quota_percent * _CERTAIN_PERCENT:
            (free,) = measure((case.unheld(_DEMAND_S),), self._native)
            self._known[program] = known = free.leases[0].delivered
        return known
