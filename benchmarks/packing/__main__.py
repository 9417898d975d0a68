"""Runs the packing benchmark: `python -m benchmarks.packing`, about 10 minutes; `--quick` 1.

B1-B7, each a module, with gshare's two modes and its rivals on the same streams. Prints a table
and the bars, writes build/bench/packing.json, and ends with 1 if a bar is missed. Counts and areas
hold on any machine; the times of B6 are the host's.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.support.daemon import native

from benchmarks import conditions, verdict
from gshare.runtime.report import Report

from . import bars, cost, figure, optimum, plan, soundness, tables
from .found import Found
from .plan import FULL, QUICK, Job, Plan
from .soundness import KERNELS_NS, Sample
from .ways import OURS, UNSOUND


def main() -> None:
    """Run, print, write the report and the figure."""
    arguments = _arguments()
    chosen = QUICK if arguments.quick else FULL
    found = measured(chosen, arguments.openb)
    claims = verdict.failing_first(bars.claims_of(found.rows))
    about = conditions.of("benchmarks.packing", []) | {
        "has_solver": optimum.SOLVER.exists(),
        "missed_below_percent": soundness.MISSED_PERCENT,
    }
    report = Report(claims, found.rows, simulated=True, conditions=about)
    report.write(arguments.report)
    out = verdict.console()
    tables.show(out, found.rows)
    if arguments.figure:
        out.print(*figure.draw(found.rows, arguments.figure))
    verdict.show(out, claims)
    sys.exit(0 if report.holds else 1)


def measured(chosen: Plan, trace: Path | None) -> Found:
    """Do every job; what is timed runs alone."""
    found = cost.measured(chosen.decisions)
    for job in plan.optimum_jobs(chosen):
        found.add(job())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        _add(found, pool, plan.jobs(chosen, trace))
        _add(found, pool, _soundness_jobs(found, chosen))
    return found


def _soundness_jobs(found: Found, chosen: Plan) -> Iterable[Job]:
    for way in (*OURS, UNSOUND):
        yield partial(soundness.refused_by_exact_test, way, sorted(found.sets[way]))
    library = native().arbiter
    for kernel_ns in KERNELS_NS:
        yield partial(soundness.alone, library, kernel_ns)
        for mode in OURS:
            timetables = soundness.sampled(found.timetables[mode], chosen.sets_run)
            yield partial(soundness.delivered, library, Sample(mode, kernel_ns, timetables))


def _add(found: Found, pool: Executor, jobs: Iterable[Job]) -> None:
    for each in pool.map(plan.run, list(jobs)):
        found.add(each)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("build/bench/packing.json"))
    parser.add_argument("--quick", action="store_true", help="less of everything: a minute")
    parser.add_argument("--openb", type=Path, help="openb_pod_list_default.csv: one more mix")
    parser.add_argument("--figure", type=Path, help="folder for packing.png and packing.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
