"""The rows of the report, and what the terminal shows. Pure but for the printing."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from benchmarks import verdict
from benchmarks.host import Measured
from gshare.runtime.report import Claim

from . import bars
from .figures import medians
from .measure import Run

_COLUMNS = ("host", "error", "sd", "least", "mean", "idle", "over", "wait p50/p99")
_SHARES = ("least_percent", "mean_percent")


def rows(runs: Sequence[Measured[Run]]) -> list[dict[str, object]]:
    """Return a row for each lease of each run."""
    return [row for run in runs for row in _rows_of(run)]


def claims(runs: Sequence[Measured[Run]]) -> list[Claim]:
    """Judge all that was measured, topic by topic; those that fail come first."""
    by_case: dict[str, list[Run]] = {}
    for measured in runs:
        by_case.setdefault(measured.found.case.name, []).append(measured.found)
    by_topic: dict[str, list[tuple[bars.Bars, dict[str, float]]]] = {}
    for its_runs in by_case.values():
        case = its_runs[0].case
        topic, bars_of_case = case.topic, case.bars
        if any(run.is_bound_by_demand for run in its_runs):
            topic, bars_of_case = f"{topic}, less wanted than the quota", bars.BY_DEMAND
        found = medians([run.figures for run in its_runs])
        by_topic.setdefault(topic, []).append((bars_of_case, found))
    made = (claim for topic, results in by_topic.items() for claim in bars.claims(topic, results))
    return verdict.failing_first(made)


def show(console: Console, runs: Sequence[Measured[Run]]) -> None:
    """Print what was measured."""
    table = Table(Column("case", no_wrap=True), *_COLUMNS)
    for measured in runs:
        table.add_row(measured.found.case.name, *_cells(measured))
    console.print(table)
    busy = sum(measured.host_was_busy for measured in runs)
    console.print(f"{busy} of {len(runs)} runs were on a busy host")


def _cells(measured: Measured[Run]) -> list[str]:
    found = measured.found.figures
    waits = ""
    if "wait_p50_ms" in found:
        waits = f"{found['wait_p50_ms']:.2f}/{found['wait_p99_ms']:.1f} ms"
    return [
        f"{measured.host_busy_percent:.0f} %" + (" (busy)" if measured.host_was_busy else ""),
        *(f"{found[name]:.2f}" for name in ("error_points", "stdev_points")),
        *(f"{found[name]:.1f}" if name in found else "" for name in _SHARES),
        f"{found['idle_percent']:.1f}",
        f"{found['overcommitted_percent']:.2f}",
        waits,
    ]


def _rows_of(measured: Measured[Run]) -> list[dict[str, object]]:
    run, case = measured.found, measured.found.case
    shared = {name: round(value, 3) for name, value in run.figures.items()}
    return [
        {
            "case": case.name,
            "topic": case.topic,
            "lease": lease.client.name,
            "sm_percent": lease.client.sm_percent,
            "quota_percent": lease.client.quota_percent,
            "limit_percent": lease.client.limit,
            "kernel_us": lease.client.kernel_us,
            "workload": lease.client.workload,
            "promised": round(lease.promised, 3),
            "delivered": round(lease.delivered, 3),
            "error_points": round(lease.error_points, 3),
            "stdev_points": round(lease.stdev_points, 3),
            "launches_per_s": round(lease.launches_per_s),
            "host_busy_percent": round(measured.host_busy_percent, 1),
            "host_was_busy": measured.host_was_busy,
            "attempts": measured.attempts,
            "run": shared,
        }
        for lease in run.leases
    ]
