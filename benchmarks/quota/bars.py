"""The bars: which figure of a case is promised, and how a bar is told from a result. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from gshare.runtime.report import Claim

Sign = Literal[">=", "<=", "=="]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of a case; None where none is set. The names are those of `figures.Figures`."""

    error_points: float | None = None
    """Largest |delivered - promised| of any lease, in percent of the GPU's time."""
    stdev_points: float | None = None
    """Largest standard deviation of a lease over readings 200 ms apart."""
    least_percent: float | None = None
    """Least share of its entitlement that a saturated lease got."""
    mean_percent: float | None = None
    over_limit_points: float | None = 0.5
    """Most that a lease got above its quota limit."""
    overcommitted_percent: float | None = None
    """Share of time in which running kernels wanted more SMs than there are."""
    idle_percent: float | None = None
    """Share of time in which no kernel ran, where somebody always wants the GPU."""
    wait_p50_ms: float | None = None
    wait_p99_ms: float | None = None


BY_DEMAND = Bars(least_percent=97)
"""What holds where a client by itself wants less than its quota: it gets what it wants, but for
what the hook costs it and what two measurements of the same demand differ by."""

_SIGNS: dict[str, Sign] = {"least_percent": ">=", "mean_percent": ">="}
_UNITS = {"points": "points", "percent": "%", "ms": "ms"}


def claims(topic: str, results: Sequence[tuple[Bars, dict[str, float]]]) -> list[Claim]:
    """Judge the cases of one topic: a claim for each bar, on the worst figure beside its bar."""
    made = []
    for bar in fields(Bars):
        pairs = [
            (getattr(bars, bar.name), figures[bar.name])
            for bars, figures in results
            if getattr(bars, bar.name) is not None and bar.name in figures
        ]
        if pairs:
            made.append(_claim(topic, bar.name, pairs))
    return made


def _claim(topic: str, name: str, pairs: list[tuple[float, float]]) -> Claim:
    sign = _SIGNS.get(name, "<=")
    bar, value = max(
        pairs, key=lambda pair: pair[0] - pair[1] if sign == ">=" else pair[1] - pair[0]
    )
    unit = _UNITS[name.rpartition("_")[2]]
    return Claim.compare(f"{topic}: {name}", value, unit, sign, bar)
