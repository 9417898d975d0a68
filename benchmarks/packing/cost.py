"""B6: what decisions cost, on this host, one at a time. A request over HTTP: `make bench-extender`.

The filter is one comparison over the profiles of 40,000 GPUs, 8 MB; they are those of GPUs that
are filled to different degrees, repeated.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from gshare.modes import MODES, Mode, Packer, Timetable
from gshare.rectangles import GPU_SIDE, Size

from .fleet import Laid
from .found import Found
from .mixes import MIXES, stream

GPUS: Final = 40_000
_BUSY_GPUS: Final = 64


def measured(repeats: int) -> Found:
    """Time each step `repeats` times, in each mode."""
    found = Found()
    for name, mode in MODES.items():
        for what, durations in _timed(mode, repeats).items():
            hundredths = statistics.quantiles(durations, n=100)
            found.rows.append(
                {
                    "part": "B6",
                    "way": name,
                    "what": what,
                    "p50_us": round(hundredths[49] * 1e6, 1),
                    "p99_us": round(hundredths[98] * 1e6, 1),
                }
            )
    return found


def _timed(mode: Mode[Any], repeats: int) -> dict[str, list[float]]:
    sizes = list(itertools.islice(stream(MIXES["fast"], 1), repeats))
    fleet = Laid(mode)
    for _ in range(_BUSY_GPUS):
        fleet.open()
    timetables: list[Timetable] = []
    for number, size in enumerate(itertools.islice(stream(MIXES["fast"], 0), 500)):
        fleet.take(str(number), size)
        timetables += [each for each in fleet.gpus if each.keys][-1:]
    in_turn = list(itertools.islice(itertools.cycle(timetables), repeats))
    packer = Packer(mode)
    return {
        f"filter and score {GPUS:,} GPUs": _each(_filter(timetables), sizes),
        "place one more": _each(
            lambda pair: pair[0].beside("new", pair[1]), zip(in_turn, sizes, strict=True)
        ),
        "take one away": _each(lambda each: each.without(each.keys[0]).profile, in_turn),
        "lay out anew": _each(
            lambda each: packer.arrange(dict(zip(each.keys, each.sizes, strict=True))), timetables
        ),
    }


def _filter(timetables: list[Timetable]) -> Callable[[Size], object]:
    profiles = [np.frombuffer(each.profile, dtype=np.uint8) for each in timetables]
    used = np.array([each.used_area for each in timetables], dtype=np.int32)
    times = -(-GPUS // len(profiles))
    by_height = np.ascontiguousarray(np.tile(np.stack(profiles, axis=1), times)[:, :GPUS])
    area = np.tile(used, times)[:GPUS]
    assert by_height.shape == (GPU_SIDE + 1, GPUS)  # noqa: S101 (what the figure is of)

    def best(size: Size) -> int:
        """Return the most used GPU with room."""
        return int(np.where(by_height[size.height] >= size.width, area, -1).argmax())

    return best


def _each(do: Callable[[Any], object], over: Iterable[Any]) -> list[float]:
    durations = []
    for value in over:
        began = time.perf_counter()
        do(value)
        durations.append(time.perf_counter() - began)
    return durations
