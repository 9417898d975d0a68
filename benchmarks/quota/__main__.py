"""`python -m benchmarks.quota`: measures, prints a table, writes the report, exits 1 on a miss."""

import argparse
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from benchmarks import conditions, verdict
from benchmarks.host import Measured
from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.report import Report

from . import gpu, plan, tables
from .cases import STEP_US, WINDOW_US, Case, batches
from .gpu import BenchError
from .measure import Run
from .runner import Runner

_REPORT = Path("build/bench/quota.json")
_LANES = 3
_ATTEMPTS = 3


def main() -> int:
    """Measure what the flags ask for."""
    flags = _flags()
    console = verdict.console()
    if flags.list:
        for case in plan.full():
            console.print(case.name)
        return 0
    native = Native.locate(os.environ.get(names.ENV_NATIVE_DIR))
    cases = _cases(flags)
    _be_punctual()
    started = time.monotonic()
    attempts = flags.attempts or (1 if flags.quick else _ATTEMPTS)
    runs = _measure(cases, Runner(native, attempts, console.print), console)
    made = tables.claims(runs)
    tables.show(console, runs)
    verdict.show(console, made)
    settings = {
        "seconds": round(time.monotonic() - started),
        "gpu": gpu.KIND,
        "window_us": WINDOW_US,
        "reading_every_us": STEP_US,
    }
    known = conditions.of("benchmarks.quota", runs)
    report = Report(made, tables.rows(runs), simulated=True, conditions=known | settings)
    console.print(f"a sleeper wakes {known['host_wake_up_us']} us late")
    report.write(flags.report)
    console.print(f"report: {flags.report}")
    return 0 if report.holds else 1


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some cases of each kind, 2 min")
    parser.add_argument("--case", action="append", metavar="NAME", help="this case, or its prefix")
    parser.add_argument("--seconds", type=float, help="measure each case for this long")
    parser.add_argument("--runs", type=int, help="measure each case this often")
    parser.add_argument("--attempts", type=int, help="tries for a quiet host: 3, or 1 if quick")
    parser.add_argument("--report", type=Path, default=_REPORT)
    parser.add_argument("--list", action="store_true", help="print the cases' names")
    return parser.parse_args()


def _cases(flags: argparse.Namespace) -> list[Case]:
    """Return the cases that the flags ask for. Exits where a name is unknown."""
    if not flags.case:
        cases = plan.quick() if flags.quick else plan.full()
    else:
        cases = []
        for name in flags.case:
            cases += plan.named(name) or sys.exit(f"no case {name!r}: see --list")
    return [plan.changed(case, flags.seconds, flags.runs) for case in cases]


def _measure(cases: list[Case], runner: Runner, console: Console) -> list[Measured[Run]]:
    runs: list[Measured[Run]] = []
    grouped = batches(cases, _LANES)
    for number, batch in enumerate(grouped, start=1):
        for _ in range(batch[0].runs):
            try:
                runs += runner.run(batch)
            except BenchError as error:
                sys.exit(str(error))
        console.print(f"{number} of {len(grouped)}: {', '.join(case.name for case in batch)}")
    return runs


def _be_punctual() -> None:
    """Read GPUs on time where the host lets us; programs that we start are as they always are."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


if __name__ == "__main__":
    sys.exit(main())
