"""The trials of a profile, one after the other: tried twice at most, kept, told of."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gshare.errors import GshareError
from gshare.profile import UNEVEN

from . import trial
from .design import At, Design, Rates
from .journal import Journal, Trial
from .request import Request
from .settings import TrialSettings
from .site import Site
from .trial import Measured

ATTEMPTS: Final = 2
ODD: Final = 0.04
"""How much slower than a smaller shape one may seem before it is tried once more."""
ODD_P99: Final = 1.5
"""How much longer its p99 may seem."""
MOST_TRIALS: Final = 4
_HOPELESS: Final = 3
"""So many failures and no success: it is the function or the machine, not the shape."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def began(self, at: At, attempt: int) -> None:
        """Hear that a trial begins."""

    def failed(self, at: At, attempt: int, reason: str) -> None:
        """Hear that one attempt at it gave no figures."""

    def done(self, result: Trial) -> None:
        """Hear that a trial is over, well or not."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is tried, and how."""

    design: Design
    request: Request
    settings: TrialSettings
    clock: Callable[[], float] = time.monotonic

    async def run(self, site: Site, journal: Journal, watcher: Watcher) -> Sequence[Trial]:
        """Run what `journal` has not got yet; return all trials.

        GshareError where nothing works at all.
        """
        while (at := self._next(journal.trials)) is not None:
            result = await self._try(site, at, watcher)
            if result.measured is None and _is_hopeless([*journal.trials, result]):
                raise GshareError(
                    f"{len(journal.trials) + 1} shapes were tried and none gave figures; the "
                    f"last, SM {at[0]} quota {at[1]}: {result.reason}"
                )
            journal.add(result)
            watcher.done(result)
        return journal.trials

    def _next(self, trials: Sequence[Trial]) -> At | None:
        """Return the design's next shape; at its end, one that was measured oddly slow."""
        return self.design.next(rates_of(trials)) or odd_one_of(trials)

    async def _try(self, site: Site, at: At, watcher: Watcher) -> Trial:
        began, reason = self.clock(), ""
        for attempt in range(1, ATTEMPTS + 1):
            watcher.began(at, attempt)
            try:
                measured = await self._measure(site, at)
            except GshareError as error:
                reason = " ".join(str(error).split())
                watcher.failed(at, attempt, reason)
                continue
            return Trial(*at, attempt, self._since(began), measured)
        return Trial(*at, ATTEMPTS, self._since(began), reason=reason)

    async def _measure(self, site: Site, at: At) -> Measured:
        async with site.serve(*at) as served:
            return await trial.measure(served, self.request, self.settings, site.place.time_scale)

    def _since(self, began: float) -> float:
        return round(self.clock() - began, 3)


def rates_of(trials: Sequence[Trial]) -> Rates:
    """Return the best throughput of each shape tried, None where every trial of it failed."""
    rates: dict[At, float | None] = {}
    for each in trials:
        known = rates.get((each.sm, each.quota))
        rate = each.measured.throughput_rps if each.measured else None
        rates[each.sm, each.quota] = max(filter(None, (known, rate)), default=None)
    return rates


def odd_one_of(trials: Sequence[Trial]) -> At | None:
    """Return a shape that was slower than a smaller one by more than trials vary.

    Something disturbed its trial, a busy host for one: what disturbs makes slower, never faster. It
    is tried once more, and up to `MOST_TRIALS` times where no profile could be made of it.
    """
    found: dict[At, list[Measured]] = {}
    for each in trials:
        if each.measured is not None:
            found.setdefault((each.sm, each.quota), []).append(each.measured)
    best = {
        at: (max(each.throughput_rps for each in seen), min(each.p99_ms for each in seen))
        for at, seen in found.items()
    }
    tried = Counter((each.sm, each.quota) for each in trials)
    return next((at for at in best if tried[at] < _trials_due(at, best)), None)


def _trials_due(at: At, best: Mapping[At, tuple[float, float]]) -> int:
    """Return how often a shape should be tried, given the best throughput and p99 of each."""
    smaller = [known for other, known in best.items() if other[0] <= at[0] and other[1] <= at[1]]
    slowness = 1 - best[at][0] / max(rps for rps, _ in smaller)
    if slowness > UNEVEN:
        return MOST_TRIALS
    is_odd = slowness > ODD or best[at][1] > ODD_P99 * min(p99_ms for _, p99_ms in smaller)
    return 2 if is_odd else 1


def _is_hopeless(trials: Sequence[Trial]) -> bool:
    return len(trials) >= _HOPELESS and not any(each.measured for each in trials)
