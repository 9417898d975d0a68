"""B5: small cases against the proven optimum of rectangles.

The optimum lies between the bound of B3 and the best that anybody here found; where the two meet
it is proven, and elsewhere CP-SAT decides. Sliced may go below it: it needs no rectangles.
"""

import itertools
import json
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gshare.rectangles import Size

from .fleet import filled
from .found import Found
from .gpu_counts import least_gpus
from .mixes import Mix, stream
from .rivals import PACKERS, gpus_by_rectpack_offline
from .ways import OURS, RECTPACK, WAYS

SOLVER: Final = Path(__file__).resolve().parents[2] / "build/solver/bin/python"
_PROGRAM: Final = Path(__file__).with_name("cpsat.py")
PODS: Final[Mapping[str, int]] = MappingProxyType({"fast": 24, "gridinv": 20, "small": 30})

Counter = Callable[[list[Size]], int]


@dataclass(frozen=True, slots=True)
class Bracket:
    """The least number of GPUs lies between the two, both included."""

    least: int
    most: int

    @property
    def is_proven(self) -> bool:
        """Tell whether it is known."""
        return self.least == self.most


def measured(mix_name: str, mix: Mix, instances: int, seconds: float) -> Found:
    """Count GPUs over so many instances; CP-SAT gets `seconds` for each number of GPUs."""
    found = Found()
    streams = [
        list(itertools.islice(stream(mix, seed), PODS[mix_name])) for seed in range(instances)
    ]
    gpus = {name: [count(sizes) for sizes in streams] for name, count in _COUNTERS.items()}
    upper = [min(by) for by in zip(*(v for k, v in gpus.items() if "sliced" not in k), strict=True)]
    brackets = [bracket(sizes, most, seconds) for sizes, most in zip(streams, upper, strict=True)]
    proven = [index for index, each in enumerate(brackets) if each.is_proven]
    optimum = sum(brackets[index].most for index in proven)
    for way, counts in gpus.items():
        found.rows.append(
            {
                "part": "B5",
                "way": way,
                "mix": mix_name,
                "pods": PODS[mix_name],
                "instances": instances,
                "unproven": instances - len(proven),
                "gpus_mean": round(statistics.mean(counts), 3),
                "optimum_mean": round(optimum / len(proven), 3),
                "over_optimum_percent": round(
                    100 * (sum(counts[index] for index in proven) / optimum - 1), 2
                ),
            }
        )
    return found


def bracket(sizes: Sequence[Size], most: int, seconds: float) -> Bracket:
    """Return what is known of the least number of GPUs, `most` of which are known to do."""
    least = least_gpus(sizes)
    while least < most:
        verdict = _solved(sizes, least, seconds)
        if verdict == "yes":
            return Bracket(least, least)
        if verdict == "unknown":
            break
        least += 1
    return Bracket(least, most)


def _solved(sizes: Sequence[Size], gpus: int, seconds: float) -> str:
    if not SOLVER.exists():
        return "unknown"
    largest_first = sorted(sizes, key=lambda size: -size.area)
    asked = {
        "sizes": [[size.width, size.height] for size in largest_first],
        "gpus": gpus,
        "seconds": seconds,
    }
    done = subprocess.run(
        [str(SOLVER), str(_PROGRAM)],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return done.stdout.strip()


def planned(way: str, sizes: Sequence[Size]) -> int:
    """Return the GPUs that `way` opens where all is known before, as `placement.place_all` does."""
    return filled(
        WAYS[way](),
        sorted(sizes, key=lambda size: (-size.area, -max(size.width, size.height), -size.width)),
    )


def _online(way: str) -> Counter:
    return lambda sizes: filled(WAYS[way](), sizes)


def _offline(way: str) -> Counter:
    return lambda sizes: planned(way, sizes)


def _rectpack_offline(algorithm: str) -> Counter:
    return lambda sizes: gpus_by_rectpack_offline(sizes, algorithm)


_COUNTERS: Final[Mapping[str, Counter]] = MappingProxyType(
    {way: _online(way) for way in (*OURS, "maximal rectangles", *RECTPACK)}
    | {f"{way}, all known before": _offline(way) for way in OURS}
    | {f"rectpack {name}, all known before": _rectpack_offline(name) for name in PACKERS}
)
