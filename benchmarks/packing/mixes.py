"""What arrives: streams of sizes, each mix one line of a table."""

import csv
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gshare.rectangles import GPU_RECTANGLE, Size

SM_CLASSES: Final = (6, 12, 24, 50, 60, 80, 100)
QUOTAS: Final = (20, 40, 60, 80, 100)

FAST: Final = (
    Size(20, 6),
    *[Size(40, 12)] * 2,
    Size(60, 12),
    Size(80, 12),
    Size(40, 24),
    Size(60, 24),
    Size(20, 50),
    Size(40, 50),
    Size(60, 50),
)
"""Profiling points that inference functions are deployed at, the paper's among them."""

Mix = Callable[[random.Random], Size]
MIXES: Final[Mapping[str, Mix]] = MappingProxyType(
    {
        "fast": lambda draw: draw.choice(FAST),
        "grid": lambda draw: Size(draw.choice(QUOTAS), draw.choice(SM_CLASSES)),
        "gridinv": lambda draw: Size(
            draw.choice(QUOTAS), draw.choices(SM_CLASSES, [1 / sm for sm in SM_CLASSES])[0]
        ),
        "small": lambda draw: Size(draw.randint(5, 50), draw.randint(5, 50)),
        "uniform": lambda draw: Size(draw.randint(1, 100), draw.randint(1, 100)),
    }
)


def stream(mix: Mix, seed: int) -> Iterator[Size]:
    """Yield the sizes of one repeatable stream, without end."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    while True:
        yield mix(draw)


def openb(trace: Path) -> Mix:
    """Return the mix of Alibaba's pods that share a GPU, from openb_pod_list_default.csv.

    The trace has one dimension, thousandths of a GPU. Each is drawn as the point of the grid
    whose area comes nearest; of equally near ones any.
    """
    with trace.open(newline="") as file:
        milli = [
            int(row["gpu_milli"])
            for row in csv.DictReader(file)
            if row["num_gpu"] == "1" and 0 < int(row["gpu_milli"]) < 1000
        ]
    grid = [Size(quota, sm) for quota in QUOTAS for sm in SM_CLASSES]
    shapes = {each: _nearest(grid, each) for each in set(milli)}
    return lambda draw: draw.choice(shapes[draw.choice(milli)])


def _nearest(grid: list[Size], milli: int) -> list[Size]:
    area = milli * GPU_RECTANGLE.area // 1000
    least = min(abs(size.area - area) for size in grid)
    return [size for size in grid if abs(size.area - area) == least]
