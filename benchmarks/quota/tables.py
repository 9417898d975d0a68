"""The rows of the report, and what the terminal shows. Pure but for the printing."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gshare.runtime.report import Claim

from . import bars
from .figures import medians
from .measure import Run


def rows(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Return a row for each lease of each run."""
    return [row for run in runs for row in _rows_of(run)]


def claims(runs: Sequence[Run]) -> list[Claim]:
    """Judge all that was measured, topic by topic; those that fail come first."""
    by_case: dict[str, list[Run]] = {}
    for run in runs:
        by_case.setdefault(run.case.name, []).append(run)
    by_topic: dict[str, list[tuple[bars.Bars, dict[str, float]]]] = {}
    for its_runs in by_case.values():
        case = its_runs[0].case
        found = medians([run.figures for run in its_runs])
        by_topic.setdefault(case.topic, []).append((case.bars, found))
    made = [claim for topic, results in by_topic.items() for claim in bars.claims(topic, results)]
    return sorted(made, key=lambda claim: claim.holds)


def show(console: Console, runs: Sequence[Run], made: Sequence[Claim]) -> None:
    """Print what was measured and how it is judged."""
    console.print(_measured(runs))
    table = Table("claim", "value", "bar", "holds")
    for claim in made:
        holds = "yes" if claim.holds else "[red]no[/red]"
        table.add_row(claim.name, f"{claim.value:g} {claim.unit}", claim.bar, holds)
    console.print(table)
    failing = sum(not claim.holds for claim in made)
    busy = sum(run.host_was_busy for run in runs)
    console.print(f"{failing} of {len(made)} bars fail; {busy} of {len(runs)} runs on a busy host")


def _rows_of(run: Run) -> list[dict[str, object]]:
    case = run.case
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
            "host_busy_percent": round(run.host_busy_percent, 1),
            "host_was_busy": run.host_was_busy,
            "attempts": run.attempts,
            "run": shared,
        }
        for lease in run.leases
    ]


def _measured(runs: Sequence[Run]) -> Table:
    table = Table("case", "leases", "error", "sd", "least", "mean", "idle", "over", "wait p50/p99")
    for run in runs:
        found = run.figures
        waits = ""
        if "wait_p50_ms" in found:
            waits = f"{found['wait_p50_ms']:.2f} / {found['wait_p99_ms']:.2f} ms"
        table.add_row(
            run.case.name + (" (host busy)" if run.host_was_busy else ""),
            str(len(run.leases)),
            *(f"{found[name]:.2f}" for name in ("error_points", "stdev_points")),
            *(f"{found[name]:.1f}" if name in found else "" for name in _SHARES),
            f"{found['idle_percent']:.1f}",
            f"{found['overcommitted_percent']:.2f}",
            waits,
        )
    return table


_SHARES = ("least_percent", "mean_percent")
