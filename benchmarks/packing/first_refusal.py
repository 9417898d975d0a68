"""B2: how full GPUs are when the first function of a stream finds no room.

Every set that stands on a GPU then is put to the exact test, outside the time that is measured.
"""

import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gshare.exact import Oracle
from gshare.rectangles import Size

from .fleet import WAYS, Fleet
from .mixes import Mix, stream


@dataclass(slots=True)
class Readings:
    """What streams of one mix gave, in one way, on so many GPUs."""

    used_percent: list[float] = field(default_factory=list)
    slices: list[int] = field(default_factory=list)
    decision_s: list[float] = field(default_factory=list)
    infeasible_sets: int = 0


def cases(mix_name: str, mix: Mix, streams: dict[int, int]) -> Iterator[dict[str, object]]:
    """Yield a case for each way and number of GPUs; `streams` says how many for each number."""
    oracle = Oracle()
    for gpus, count in streams.items():
        for way in WAYS:
            readings = measured(way, gpus, (stream(mix, seed) for seed in range(count)), oracle)
            yield {"mix": mix_name, "gpus": gpus, "how": way, "streams": count, **_case(readings)}


def measured(way: str, gpus: int, streams: Iterable[Iterable[Size]], oracle: Oracle) -> Readings:
    """Fill `gpus` GPUs up to the first refusal, once with each of `streams`."""
    readings = Readings()
    for sizes in streams:
        fleet = Fleet.of(WAYS[way], gpus)
        for number, size in enumerate(sizes):
            began = time.perf_counter()
            is_taken = fleet.take(str(number), size)
            readings.decision_s.append(time.perf_counter() - began)
            if not is_taken:
                break
        readings.used_percent.append(fleet.used_percent)
        readings.slices += [len(gpu.slices(key)) for gpu in fleet.gpus for key in gpu.keys]
        readings.infeasible_sets += sum(not oracle.is_feasible(gpu.sizes) for gpu in fleet.gpus)
    return readings


def _case(readings: Readings) -> dict[str, object]:
    spread = statistics.stdev(readings.used_percent) / len(readings.used_percent) ** 0.5
    hundredths = statistics.quantiles(readings.decision_s, n=100)
    return {
        "used_percent": round(statistics.mean(readings.used_percent), 2),
        "standard_error": round(spread, 2),
        "slices_mean": round(statistics.mean(readings.slices), 3),
        "slices_most": max(readings.slices),
        "infeasible_sets": readings.infeasible_sets,
        "decision_p50_us": round(hundredths[49] * 1e6),
        "decision_p99_us": round(hundredths[98] * 1e6),
    }
