"""`python -m benchmarks.hook`: measures, prints a table, writes the report, exits 1 on a miss."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import conditions, host, verdict
from benchmarks.host import Measured
from benchmarks.quota.gpu import BenchError
from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.report import Report

from . import calls, startup, tokens
from .calls import CallCost
from .startup import Startup
from .tokens import Tokens

_REPORT = Path("build/bench/hook.json")
_ATTEMPTS = 3
_SHOWN = ("call", "route", "bare_least_ns", "hooked_least_ns", "added_least_ns", "added_median_ns")


def main() -> int:
    """Measure everything; a part anew, as often as the flags allow, where others used the host."""
    flags = _flags()
    console = verdict.console()
    native = Native.locate(os.environ.get(names.ENV_NATIVE_DIR))
    say = console.print
    try:
        costs = host.in_quiet(lambda: calls.measure(native), flags.attempts, say)
        starts = host.in_quiet(lambda: startup.measure(native), flags.attempts, say)
        turns = host.in_quiet(lambda: tokens.measure(native), flags.attempts, say)
    except BenchError as error:
        sys.exit(str(error))
    report = _report(costs, starts, turns)
    _show(console, costs.found, [*starts.found.rows(), *turns.found.rows()])
    verdict.show(console, report.claims)
    console.print(f"a sleeper wakes {report.conditions['host_wake_up_us']} us late")
    report.write(flags.report)
    console.print(f"report: {flags.report}")
    return 0 if report.holds else 1


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hook", description=__doc__)
    parser.add_argument("--attempts", type=int, default=_ATTEMPTS, help="tries for a quiet host")
    parser.add_argument("--report", type=Path, default=_REPORT)
    return parser.parse_args()


def _report(
    costs: Measured[list[CallCost]], starts: Measured[Startup], turns: Measured[Tokens]
) -> Report:
    made = [*calls.claims(costs.found), *starts.found.claims(), *turns.found.claims()]
    rows = [
        *({**cost.row(), **_conditions(costs)} for cost in costs.found),
        *({**row, **_conditions(starts)} for row in starts.found.rows()),
        *({**row, **_conditions(turns)} for row in turns.found.rows()),
    ]
    settings = {"driver_of_launches": "one that does nothing", "driver_of_all_else": "simulated"}
    known = conditions.of("benchmarks.hook", [costs, starts, turns])
    return Report(verdict.failing_first(made), rows, simulated=True, conditions=known | settings)


def _conditions(measured: Measured[object]) -> dict[str, object]:
    return {
        "host_busy_percent": round(measured.host_busy_percent, 1),
        "host_was_busy": measured.host_was_busy,
        "attempts": measured.attempts,
    }


def _show(console: Console, costs: Sequence[CallCost], rows: Sequence[dict[str, object]]) -> None:
    table = Table(*(name.replace("_", " ") for name in _SHOWN))
    for row in (cost.row() for cost in costs):
        table.add_row(*(str(row[name]) for name in _SHOWN))
    console.print(table)
    for row in rows:
        console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.items()))


if __name__ == "__main__":
    sys.exit(main())
