"""B2: how full GPUs are when the first function of a stream finds no room."""

import statistics

from gshare.rectangles import GPU_RECTANGLE

from .fleet import Fleet, Laid, opened
from .found import Found
from .mixes import Mix, stream
from .ways import WAYS


def measured(way: str, mix_name: str, mix: Mix, gpus: int, streams: int) -> Found:
    """Fill `gpus` GPUs up to the first refusal, once with each of so many streams."""
    found, used, slices = Found(), [], []
    for seed in range(streams):
        fleet = opened(WAYS[way](), gpus)
        used.append(used_percent_at_refusal(fleet, mix, gpus, seed))
        found.note(way, fleet)
        if isinstance(fleet, Laid):
            slices += [len(gpu.slices(key)) for gpu in fleet.gpus for key in gpu.keys]
    row: dict[str, object] = {
        "part": "B2",
        "way": way,
        "mix": mix_name,
        "gpus": gpus,
        "streams": streams,
        "used_percent": round(statistics.mean(used), 2),
        "standard_error": round(statistics.stdev(used) / streams**0.5, 2),
    }
    if slices:
        row |= {"slices_mean": round(statistics.mean(slices), 3), "slices_most": max(slices)}
    found.rows.append(row)
    return found


def used_percent_at_refusal(fleet: Fleet, mix: Mix, gpus: int, seed: int) -> float:
    """Fill `fleet` up to the first function that it refuses; return the area in use, in percent."""
    area = 0
    for number, size in enumerate(stream(mix, seed)):
        if not fleet.take(str(number), size):
            break
        area += size.area
    return 100 * area / (gpus * GPU_RECTANGLE.area)
