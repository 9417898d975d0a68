"""Packs the paper's eight functions in all their arrival orders, and random streams to a refusal.

`python benchmarks/packing_orders.py` takes about 20 s, prints a table and writes
build/bench/packing_orders.json. No GPU is involved, simulated or real; only counts and areas
are compared, so the host's speed does not matter except for the two durations in microseconds.
"""

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gshare import packing, placement
from gshare.modes import RECT, Packer
from gshare.placement import Gpu, Placement, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE, GPU_SIDE, Size
from gshare.runtime.report import Claim, Report

PAPER = (*[Size(40, 12)] * 4, *[Size(40, 24)] * 2, *[Size(60, 50)] * 2)
SM_CLASSES = (6, 12, 24, 50, 60, 80, 100)
QUOTAS = (20, 40, 60, 80, 100)
STREAM_GPUS = 4
Mix = Callable[[random.Random], Size]
MIXES: dict[str, Mix] = {
    "paper": lambda draw: draw.choice(PAPER),
    "grid": lambda draw: Size(draw.choice(QUOTAS), draw.choice(SM_CLASSES)),
    "gridinv": lambda draw: Size(
        draw.choice(QUOTAS), draw.choices(SM_CLASSES, [1 / sm for sm in SM_CLASSES])[0]
    ),
    "small": lambda draw: Size(draw.randint(5, 50), draw.randint(5, 50)),
}
"""Random sizes; grid, gridinv and small as in docs/packing.md."""


def main() -> None:
    """Run both parts, print them and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("build/bench/packing_orders.json"))
    parser.add_argument("--streams", type=int, default=60, help="random streams of each mix")
    arguments = parser.parse_args()
    cases = [*arrival_order_cases(), *stream_cases(arguments.streams)]
    report = Report(claims_of(cases), cases, simulated=False)
    print_table(cases)
    report.write(arguments.report)


def arrival_order_cases() -> list[dict[str, object]]:
    """Count, for each way to place, the orders in which the paper's functions fit one GPU."""
    orders = sorted(set(itertools.permutations(PAPER)))
    cases = [
        {
            "part": "arrival orders",
            "how": f"maximal rectangles, {rule}",
            "orders": len(orders),
            "orders_on_one_gpu": sum(fits_online(order, rule) for order in orders),
        }
        for rule in packing.RULES
    ]
    packer = Packer(RECT)
    started = time.perf_counter()
    held = sum(fits_by_layout(order, packer) for order in orders)
    each_us = (time.perf_counter() - started) / (len(orders) * len(PAPER)) * 1e6
    cases.append(
        {
            "part": "arrival orders",
            "how": "new layouts (gshare)",
            "orders": len(orders),
            "orders_on_one_gpu": held,
            "mean_decision_us": round(each_us, 1),
        }
    )
    cases += [one_dimension_case(orders, how, side) for how, side in ONE_DIMENSION.items()]
    return cases


ONE_DIMENSION: dict[str, Callable[[Size], int]] = {
    "time sharing only, best fit": lambda size: size.width,
    "SM sharing only, best fit": lambda size: size.height,
}


def one_dimension_case(
    orders: Iterable[Sequence[Size]], how: str, side: Callable[[Size], int]
) -> dict[str, object]:
    """Count GPUs where only one side of each rectangle is shared and the other is whole."""
    used = [gpus_by_best_fit([side(size) for size in order]) for order in orders]
    return {
        "part": "arrival orders",
        "how": how,
        "orders": len(used),
        "orders_on_one_gpu": used.count(1),
        "gpus_least": min(used),
        "gpus_most": max(used),
    }


def gpus_by_best_fit(lengths: Iterable[int]) -> int:
    """Return how many GPUs one-dimensional best fit opens for `lengths` in percent."""
    free: list[int] = []
    for length in lengths:
        fitting = [index for index, room in enumerate(free) if room >= length]
        if fitting:
            free[min(fitting, key=lambda index: free[index])] -= length
        else:
            free.append(GPU_SIDE - length)
    return len(free)


def fits_online(sizes: Iterable[Size], rule: str) -> bool:
    """Tell whether plain maximal rectangles hold `sizes` on one GPU, arriving one by one."""
    space = packing.Space()
    for size in sizes:
        place = packing.choose(space, size, rule)
        if place is None:
            return False
        space = packing.place(space, place)
    return True


def fits_by_layout(sizes: Iterable[Size], packer: Packer) -> bool:
    """Tell whether gshare holds `sizes` on one GPU, arriving one by one."""
    gpu = empty_gpu(0)
    for key, size in enumerate(sizes):
        answer = placement.choose((gpu,), request(key, size), packer)
        if not isinstance(answer, Placement):
            return False
        gpu = answer.after
    return True


def stream_cases(streams: int) -> list[dict[str, object]]:
    """Measure how full STREAM_GPUS GPUs are at the first refusal of a random stream."""
    return [
        {
            "part": "first refusal",
            "how": how,
            "mix": name,
            "gpus": STREAM_GPUS,
            "streams": streams,
            "mean_area_percent": round(
                statistics.mean(fill(mix, stream(seed)) for seed in range(streams)), 2
            ),
        }
        for name, mix in MIXES.items()
        for how, fill in (
            ("maximal rectangles, short_side", fill_online),
            ("new layouts (gshare)", fill_by_layout),
        )
    ]


def stream(seed: int) -> random.Random:
    """Return the source of one repeatable stream."""
    return random.Random(seed)  # noqa: S311 (no secret)


def fill_online(mix: Mix, draw: random.Random) -> float:
    """Return the percent of the area in use when plain best short-side fit first refuses."""
    spaces = [packing.Space() for _ in range(STREAM_GPUS)]
    while True:
        size = mix(draw)
        left = [packing.short_side_left(space, size) for space in spaces]
        fitting = [index for index, value in enumerate(left) if value is not None]
        if not fitting:
            used = sum(space.used_area for space in spaces)
            return used / STREAM_GPUS / GPU_RECTANGLE.area * 100
        best = min(fitting, key=lambda index: (left[index], -spaces[index].used_area))
        place = packing.choose(spaces[best], size)
        if place is not None:
            spaces[best] = packing.place(spaces[best], place)


def fill_by_layout(mix: Mix, draw: random.Random) -> float:
    """Return the percent of the area in use when gshare first refuses."""
    gpus = {f"GPU-{index}": empty_gpu(index) for index in range(STREAM_GPUS)}
    packer = Packer(RECT)
    for key in itertools.count():
        answer = placement.choose(tuple(gpus.values()), request(key, mix(draw)), packer)
        if not isinstance(answer, Placement):
            break
        gpus[answer.gpu_uuid] = answer.after
    used = sum(gpu.layout.used_area for gpu in gpus.values())
    return used / STREAM_GPUS / GPU_RECTANGLE.area * 100


def empty_gpu(index: int) -> Snapshot:
    """Return a GPU on which only the rectangle counts: ample memory and clients."""
    return Snapshot(Gpu(f"GPU-{index}", memory_bytes=2**60, sm_count=80, max_clients=10_000))


def request(key: int, size: Size) -> Request:
    """Return a request for `size` and next to no memory."""
    return Request(str(key), size.height, size.width, memory_bytes=1)


def claims_of(cases: Iterable[dict[str, object]]) -> list[Claim]:
    """Judge the one figure that is promised: all orders of the paper's functions on one GPU."""
    held = [
        float(str(case["orders_on_one_gpu"]))
        for case in cases
        if case["part"] == "arrival orders" and case["how"] == "new layouts (gshare)"
    ]
    return [Claim.compare("paper_orders_on_one_gpu", held[0], "of 420 orders", "==", 420)]


def print_table(cases: Iterable[dict[str, object]]) -> None:
    """Print one line a case."""
    table = Table("part", "how", "result")
    for case in cases:
        rest = {key: value for key, value in case.items() if key not in {"part", "how"}}
        table.add_row(
            str(case["part"]),
            str(case["how"]),
            ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rest.items()),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
