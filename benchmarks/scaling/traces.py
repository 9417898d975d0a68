"""When requests arrive: Azure's conversation trace, and the trace of the FaST-GShare paper.

Azure: 19,366 requests to a language model in 58 minutes, 5.5 a second; it is used for when load
comes, not for what a request costs. To offer a mean rate, each request stands for so many of ours,
spread evenly over some time around it: over 1 s the bursts of a second, which so few requests make
by chance alone, keep their height (2.9 times the mean); over 15 s what outlasts a pod's start does.
Source: Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv.csv, CC-BY-4.0; Patel et al.,
"Splitwise", ISCA 2024.

The paper's: piecewise linear, requests evenly spaced as an open-loop load generator sends them.
Source: FaST-GShare (ICPP 2023), figure of the autoscaling experiment, read off, +-1.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from gshare.errors import InputError
from gshare.scaling import ControllerSettings

PAPER_RPS: Final = (
    (0.0, 0.0),
    (5.0, 30.0),
    (35.0, 60.0),
    (110.0, 110.0),
    (125.0, 100.0),
    (135.0, 90.0),
    (145.0, 70.0),
    (160.0, 50.0),
    (184.0, 21.0),
)
"""Seconds and requests a second between which the rate is a straight line."""
_COLUMN: Final = "TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often rates are scraped, decided on and applied, and how far the controller looks.

    `interval_s` is the autoscaler's, `sync_s` HPA's. Nothing counts before the warm-up is over.
    """

    scrape_s: float
    window_s: float
    interval_s: float
    sync_s: float
    lead_s: float
    trend_s: float
    scale_down_window_s: float
    warm_up_s: float


_DEFAULT: Final = ControllerSettings()
USUAL: Final = Pace(
    5.0, 60.0, 5.0, 15.0, _DEFAULT.lead_s, _DEFAULT.trend_s, _DEFAULT.scale_down_window_s, 300.0
)
"""The defaults of gshare, of Kubernetes, and of the scrape configuration that we ship."""
QUICK: Final = Pace(1.0, 6.0, 1.0, 2.0, 12.0, 15.0, 20.0, 0.0)
"""As on our test cluster, for a trace of three minutes."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrival times in seconds from the start, in order."""

    name: str
    arrivals_s: Sequence[float]
    duration_s: float
    pace: Pace

    @property
    def mean_rps(self) -> float:
        """Return the load offered over the whole trace."""
        return len(self.arrivals_s) / self.duration_s


def paper() -> Trace:
    """Return the paper's trace."""
    return Trace("paper", list(_evenly(PAPER_RPS)), PAPER_RPS[-1][0], QUICK)


@dataclass(frozen=True, slots=True)
class Scale:
    """How Azure's trace is brought to a mean rate, and over which time each request is spread."""

    mean_rps: float = 300.0
    spread_s: float = 1.0
    seconds: float | None = None
    """Only its first seconds."""


def azure(file: Path, scale: Scale) -> Trace:
    """Return Azure's trace, each request standing for as many as make the mean rate.

    InputError where `file` is not that trace.
    """
    times = _times(file)
    duration = times[-1] - times[0]
    each = scale.mean_rps * duration / len(times)
    arrivals = sorted(_spread(times, each, scale.spread_s))
    end = min(duration, scale.seconds or duration)
    name = f"azure, {scale.spread_s:g} s"
    return Trace(name, [time for time in arrivals if time < end], end, USUAL)


def _evenly(points: Sequence[tuple[float, float]]) -> Iterator[float]:
    """Yield when the integral of the rate passes each whole number."""
    owed = 0.0
    for (start, before), (end, after) in pairwise(points):
        slope = (after - before) / (end - start)
        total = (before + after) / 2 * (end - start)
        for number in range(1, int(owed + total) + 1):
            yield start + _when(before, slope, number - owed)
        owed = (owed + total) % 1


def _when(rate: float, slope: float, amount: float) -> float:
    """Return after how long a rate that changes by `slope` has summed up to `amount`."""
    # The root of slope/2 t^2 + rate t = amount that is stable for a small slope.
    return float(2 * amount / (rate + max(0.0, rate**2 + 2 * slope * amount) ** 0.5))


def _spread(times: Sequence[float], each: float, spread_s: float) -> Iterator[float]:
    draw = random.Random(1)  # noqa: S311 (no secret)
    owed = 0.0
    for time in times:
        owed += each
        for _ in range(int(owed)):
            yield max(0.0, time - times[0] + (draw.random() - 0.5) * spread_s)
        owed %= 1


def _times(file: Path) -> list[float]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            times = [datetime.fromisoformat(row[_COLUMN]).timestamp() for row in rows]
    except OSError as error:
        raise InputError(str(file), "file", file.name, f"cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"is no AzureLLMInferenceTrace_conv.csv: {error}"
        raise InputError(str(file), _COLUMN, file.name, problem) from error
    if len(times) < 2 or times[-1] <= times[0]:
        raise InputError(str(file), _COLUMN, file.name, "holds no two moments in order")
    return times
