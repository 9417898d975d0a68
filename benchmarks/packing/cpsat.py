"""Lays rectangles on few GPUs with CP-SAT: a program of its own, in an environment of its own.

OR-tools wants another protobuf than gshare, so the benchmark starts this file with the Python of
`build/solver`. In: JSON lines {"sizes": [[w, h], ...], "gpus": n, "seconds": s}. Out, a line each:
"yes" or "no", both proven, or "unknown" where the time was too short.
"""

import json
import sys
from typing import Any

from ortools.sat.python import cp_model

SIDE = 100
_WORDS = {cp_model.OPTIMAL: "yes", cp_model.FEASIBLE: "yes", cp_model.INFEASIBLE: "no"}


def answer(sizes: list[list[int]], gpus: int, seconds: float) -> str:
    """Tell whether `sizes` lie on so many GPUs, which are stacked: a y names a GPU too."""
    model: Any = cp_model.CpModel()
    across, upward = [], []
    for number, (width, height) in enumerate(sizes):
        x = model.new_int_var(0, SIDE - width, f"x{number}")
        floors = [[SIDE * gpu, SIDE * (gpu + 1) - height] for gpu in range(min(gpus, number + 1))]
        y = model.new_int_var_from_domain(cp_model.Domain.from_intervals(floors), f"y{number}")
        across.append(model.new_fixed_size_interval_var(x, width, f"w{number}"))
        upward.append(model.new_fixed_size_interval_var(y, height, f"h{number}"))
    model.add_no_overlap_2d(across, upward)
    model.add_cumulative(across, [height for _, height in sizes], SIDE * gpus)
    solver: Any = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    solver.parameters.random_seed = 0
    return _WORDS.get(solver.solve(model), "unknown")


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(answer(asked["sizes"], asked["gpus"], asked["seconds"]), flush=True)
