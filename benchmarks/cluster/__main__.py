"""`python -m benchmarks.cluster`: measures, prints a table, writes the report, exits 1 on a miss.

Trials with the extender and without it take turns on the same nodes and the same pods, every other
round the other way about: the servers grow from trial to trial, and neither kind is to have the
later ones. Needs root and the Kubernetes binaries of `make cluster-tools`.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import conditions, verdict
from benchmarks.host import Measured
from gshare.errors import GshareError
from gshare.runtime.report import Report

from . import figures, objects, trial
from .figures import Latency, Trial
from .rig import Rig
from .trial import Load

_REPORT = Path("build/bench/cluster.json")
_NODES = (100, 1000, 5000)
_COLUMNS = (
    "nodes",
    "extender",
    "pods/s",
    "attempt ms p50/p90/p99",
    "algorithm ms p50/p99",
    "verbs ms mean (p99)",
    "conflicts",
    "memory MB",
    "CPU s per 1,000 pods",
    "others",
)


def main() -> int:
    """Measure every number of nodes asked for."""
    flags = _flags()
    console = verdict.console()
    try:
        trials = [each for nodes in flags.nodes for each in _measure(nodes, flags, console)]
    except GshareError as error:
        sys.exit(f"bench-cluster: {error}")
    report = _report(trials, flags)
    console.print(_table(trials))
    verdict.show(console, report.claims)
    report.write(flags.report)
    console.print(f"report: {flags.report}")
    return 0 if report.holds else 1


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    add = parser.add_argument
    add("--nodes", type=_above_zero, nargs="+", default=_NODES, help="fake nodes of 8 GPUs")
    add("--pods", type=_above_zero, default=2000, help="pods on the clock (%(default)s)")
    add("--warm", type=_above_zero, default=200, help="pods before the clock (%(default)s)")
    add("--rounds", type=_above_zero, default=2, help="trials of either kind (%(default)s)")
    add("--attempts", type=_above_zero, default=2, help="at a trial on a quiet host (%(default)s)")
    add("--arrivals", choices=trial.ARRIVALS, default=trial.DURING, help="see trial.py")
    add("--report", type=Path, default=_REPORT)
    return parser.parse_args()


def _above_zero(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return number


def _measure(nodes: int, flags: argparse.Namespace, console: Console) -> Iterator[Trial]:
    load = Load(flags.pods, flags.warm, flags.arrivals)
    rig = Rig.up(nodes, console.print)
    try:
        for number in range(flags.rounds):
            for has_extender in (False, True) if number % 2 == 0 else (True, False):
                tries = (
                    _tried(rig, nodes, load, console, has_extender=has_extender)
                    for _ in range(flags.attempts)
                )
                yield trial.quietest(tries)
    finally:
        rig.down()


def _tried(rig: Rig, nodes: int, load: Load, console: Console, *, has_extender: bool) -> Trial:
    found = trial.run(rig, nodes, load, has_extender=has_extender)
    which = "with" if has_extender else "without"
    busy = f"others used {found.drain.host_busy_percent:.0f} % of the host"
    console.print(f"{nodes} nodes, {which} extender: {found.pods_per_s:.1f} pods/s, {busy}")
    return found


def _report(trials: Sequence[Trial], flags: argparse.Namespace) -> Report:
    made = verdict.failing_first(figures.claims(trials))
    rows = [{**dataclasses.asdict(each), "pods_per_s": each.pods_per_s} for each in trials]
    measured = [Measured(each, each.drain.host_busy_percent, 1) for each in trials]
    settings = {
        "pods": flags.pods,
        "warm_pods": flags.warm,
        "rounds": flags.rounds,
        "arrivals": flags.arrivals,
        "gpus_per_node": objects.GPUS_PER_NODE,
        "scheduler_client_qps": objects.CLIENT_QPS,
    }
    known = conditions.of("benchmarks.cluster", measured)
    return Report(made, rows, simulated=True, conditions=known | settings)


def _table(trials: Sequence[Trial]) -> Table:
    table = Table(*_COLUMNS)
    for each in trials:
        table.add_row(*_cells(each))
    return table


def _cells(each: Trial) -> list[str]:
    attempt, algorithm, drain = each.attempt, each.algorithm, each.drain
    memory = {name: round(found / 1e6) for name, found in drain.memory_bytes.items()}
    cpu = {name: 1e3 * found / drain.pods for name, found in drain.cpu_s.items()}
    return [
        str(each.nodes),
        "with" if each.has_extender else "without",
        f"{each.pods_per_s:.1f}",
        f"{attempt.p50_ms:g}/{attempt.p90_ms:g}/{attempt.p99_ms:g}",
        f"{algorithm.p50_ms:g}/{algorithm.p99_ms:g}",
        "\n".join(_verb(verb, latency) for verb, latency in each.verbs.items()),
        f"{each.conflicts} ({each.conflicts_percent:.2g} %)" if each.has_extender else "",
        "\n".join(f"{_short(name)} {found}" for name, found in memory.items()),
        "\n".join(f"{_short(name)} {found:.2f}" for name, found in cpu.items()),
        f"{drain.host_busy_percent:.0f} %",
    ]


def _short(process: str) -> str:
    return process.rpartition("-")[2]


def _verb(verb: str, latency: Latency) -> str:
    return f"{verb} {latency.mean_ms:.2f} ({latency.p99_ms:g})"


if __name__ == "__main__":
    sys.exit(main())
