"""What a function is to be planned for: its offered rate, a while ahead, and held for a while.

The forecast follows a rising trend and never a falling one: the least slope that the last minute
supports (one standard error below the fitted one), for as long as a pod takes to start, up to
twice the rate. What was once offered or forecast still counts for the scale-down window, as in
HPA's stabilisation: pods are started at once and ended late.

The past may come from anywhere: samples collected one by one, or all at once after a restart. What
was forecast follows from the samples alone, so both ways the same demand is held. Where the past
does not reach back the whole window without a gap, the outlook's `is_known` is False, and whoever
scales must not shrink.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from .values import Sample

GAP_S: Final = 60.0
"""Samples further apart than this, and than three times their pace, do not connect: what was
offered between them is not known."""

_PACES: Final = 3

MOST_GROWTH: Final = 2.0
"""A forecast is at most so many times the rate."""

_SLACK: Final = 0.95
"""A past that reaches back so much of the window is known: samples do not come on the dot."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a function's demand at one time.

    `held_rps` is the most that was offered or forecast within the window; `known_s` for how long
    the rate is known without a gap.
    """

    rate_rps: float
    forecast_rps: float
    held_rps: float
    known_s: float
    is_known: bool


@dataclass(slots=True)
class Demand:
    """The offered rates of one function, as far back as they matter."""

    lead_s: float
    trend_s: float
    window_s: float
    _samples: list[Sample] = field(default_factory=list)
    _forecasts: list[Sample] = field(default_factory=list)

    def add(self, now_s: float, samples: Iterable[Sample]) -> Outlook | None:
        """Take new samples in any order, known ones again; return the outlook, None without any."""
        known = {sample.at_s for sample in self._samples}
        new = sorted({each.at_s: each for each in samples if each.at_s not in known}.items())
        for _, sample in new:
            insort(self._samples, sample, key=_time)
            self._forecasts.append(Sample(sample.at_s, self._forecast_rps(sample.at_s)))
        oldest_s = now_s - max(self.window_s, self.trend_s) - self._gap_s()
        self._samples = [each for each in self._samples if each.at_s >= oldest_s]
        return self._outlook(now_s) if self._samples else None

    def _outlook(self, now_s: float) -> Outlook:
        forecast_rps, since_s = self._forecast_rps(now_s), now_s - self.window_s
        self._forecasts = [each for each in self._forecasts if each.at_s >= since_s]
        known_s = self._known_s(now_s)
        return Outlook(
            self._samples[-1].rate_rps,
            forecast_rps,
            max((forecast_rps, *(each.rate_rps for each in self._forecasts))),
            known_s,
            known_s >= _SLACK * self.window_s,
        )

    def _forecast_rps(self, now_s: float) -> float:
        """Return the rate that was to be expected `lead_s` after `now_s`, at least the newest."""
        until = bisect_right(self._samples, now_s, key=_time) or 1
        newest = self._samples[until - 1]
        first = bisect_left(self._samples, newest.at_s - self.trend_s, key=_time)
        ahead_s = now_s - newest.at_s + self.lead_s
        grown = newest.rate_rps + least_slope(self._samples[first:until]) * ahead_s
        return max(newest.rate_rps, min(grown, MOST_GROWTH * newest.rate_rps))

    def _known_s(self, now_s: float) -> float:
        since_s, gap_s = now_s, self._gap_s()
        for sample in reversed(self._samples):
            if since_s - sample.at_s > gap_s:
                break
            since_s = sample.at_s
        return now_s - since_s

    def _gap_s(self) -> float:
        distances = [after.at_s - before.at_s for before, after in pairwise(self._samples)]
        return max(GAP_S, _PACES * min(distances)) if len(distances) >= _PACES else GAP_S


def _time(sample: Sample) -> float:
    return sample.at_s


def least_slope(samples: Sequence[Sample]) -> float:
    """Return the slope of a line through `samples` less one standard error, in req/s per second.

    Never below 0, and 0 for fewer than three samples.
    """
    if len(samples) < 3:
        return 0.0
    count = len(samples)
    mean_s = math.fsum(each.at_s for each in samples) / count
    mean_rps = math.fsum(each.rate_rps for each in samples) / count
    spread = math.fsum((each.at_s - mean_s) ** 2 for each in samples)
    slope = math.fsum((each.at_s - mean_s) * each.rate_rps for each in samples) / spread
    residuals = math.fsum(
        (each.rate_rps - mean_rps - slope * (each.at_s - mean_s)) ** 2 for each in samples
    )
    return max(0.0, slope - math.sqrt(residuals / (count - 2) / spread))
