"""Tells whether a rate rests on a whole window of data. Pure.

Prometheus divides what it saw by the whole window, however little of it has data: after the data
were away for longer, the rate climbs from nothing to what it is while the window fills, and a
climb is what a forecast carries on. The same holds for a series that has only begun. So a rate
counts once data have come without a break for as long as its window. A break of less than half the
window does no harm: what was counted meanwhile is in the next sample.

Source: `extrapolatedRate` in promql/functions.go of Prometheus.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gshare.scaling import Sample

_STEPS: Final = 3
"""Samples so many steps apart still make one run, however short the window."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Over how long a query averages, and how far apart its samples are asked for."""

    window_s: float
    step_s: float

    @property
    def longest_break_s(self) -> float:
        """Return how far apart two samples may be that still make one run."""
        return max(self.window_s / 2, _STEPS * self.step_s)


@dataclass(frozen=True, slots=True)
class Run:
    """Samples without a break: since when, and until when so far, in seconds."""

    since_s: float
    until_s: float

    @classmethod
    def before(cls, at_s: float) -> "Run":
        """Return the run of what was before `at_s`, of which nobody asked: long enough."""
        return cls(-math.inf, at_s)

    def then(self, at_s: float, pace: Pace) -> "Run":
        """Return the run to which a sample at `at_s` belongs: this one, or a new one."""
        if at_s - self.until_s > pace.longest_break_s:
            return Run(at_s, at_s)
        return self.on(at_s)

    def on(self, at_s: float) -> "Run":
        """Return this run with a sample at `at_s`, before which nobody asked in vain."""
        return Run(self.since_s, max(at_s, self.until_s))

    def lacks_s(self, pace: Pace) -> float:
        """Return for how long data must still come until the window is full; 0 if it is."""
        return max(0.0, self.since_s + pace.window_s - self.until_s)


def after(run: Run, samples: Iterable[Sample], pace: Pace) -> tuple[Run, list[Sample]]:
    """Return the run at the end of `samples`, oldest first, and those whose window was full."""
    kept = []
    for sample in samples:
        run = run.then(sample.at_s, pace)
        if not run.lacks_s(pace):
            kept.append(sample)
    return run, kept
