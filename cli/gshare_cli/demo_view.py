"""The tables that `gshare demo` shows: promised and delivered, and both modes side by side."""

from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from gshare.runtime.report import Claim

from .demo_result import LEAST_DELIVERED_PERCENT, ModeResult
from .views import ReplicaView

Figure = Callable[[ModeResult], float]

BUSY_HOST_PERCENT = 60


def progress_table(
    title: str, views: Sequence[ReplicaView], delivered_percent: Mapping[str, float]
) -> Table:
    """Return the live table: each replica's state, promise, and GPU time so far."""
    table = Table(title=title, title_justify="left")
    for column in ("replica", "state"):
        table.add_column(column)
    for column in ("SM %", "promised %", "delivered %"):
        table.add_column(column, justify="right")
    for view in views:
        got = delivered_percent.get(view.lease_id or "")
        table.add_row(
            view.name,
            view.state.value,
            str(view.sm_percent),
            str(view.quota_request_percent),
            "" if got is None else f"{got:.1f}",
        )
    return table


def replica_table(result: ModeResult) -> Table:
    """Return the final table of one mode: what each replica was promised and what it got."""
    table = Table(title="Promised and delivered, shared GPU", title_justify="left")
    table.add_column("replica")
    for column in ("SM %", "promised %", "limit %", "delivered %", "kept %", "requests/s"):
        table.add_column(column, justify="right")
    for replica in result.replicas:
        colour = "green" if replica.kept_percent >= LEAST_DELIVERED_PERCENT else "red"
        table.add_row(
            replica.name,
            str(replica.sm_percent),
            str(replica.quota_request_percent),
            str(replica.quota_limit_percent),
            f"{replica.delivered_percent:.2f}",
            f"[{colour}]{replica.kept_percent:.1f}[/]",
            f"{replica.requests_per_second:.1f}",
        )
    return table


def comparison_table(shared: ModeResult, time_sharing: ModeResult) -> Table:
    """Return both modes side by side with the ratio of shared to time sharing."""
    table = Table(title="Shared, and by time sharing only", title_justify="left")
    table.add_column("")
    for column in ("shared", "time sharing", "ratio"):
        table.add_column(column, justify="right")
    for label, figure, digits in _figures(shared):
        here, there = figure(shared), figure(time_sharing)
        ratio = f"{here / there:.2f}" if there else ""
        table.add_row(label, f"{here:.{digits}f}", f"{there:.{digits}f}", ratio)
    return table


def _figures(shared: ModeResult) -> list[tuple[str, Figure, int]]:
    """Return the rows of the comparison: label, figure, digits."""
    return [
        ("GPUs used", lambda mode: mode.gpus_used, 0),
        ("GPU utilisation, mean %", lambda mode: mode.usage.mean_utilisation_percent(), 1),
        ("SM occupancy, mean %", lambda mode: mode.usage.mean_sm_occupancy_percent(), 1),
        ("requests/s per GPU", lambda mode: mode.requests_per_second() / mode.gpus_used, 1),
        *((f"requests/s of {function}", _rate_of(function), 1) for function in shared.functions),
    ]


def _rate_of(function: str) -> Figure:
    return lambda mode: mode.requests_per_second(function)


def host_line(result: ModeResult) -> str:
    """Return a line on how busy the host was: a busy one launches late, which costs GPU time."""
    is_loaded = result.host_busy_percent > BUSY_HOST_PERCENT
    note = "; a busy host launches late: expect less than on a quiet one" if is_loaded else ""
    return f"The host's cores were {result.host_busy_percent:.0f} % busy{note}."


def claim_lines(claims: Sequence[Claim]) -> list[str]:
    """Return one line a claim: whether it holds, the figure and its bar."""
    return [
        f"[{'green' if claim.holds else 'red'}]{'holds' if claim.holds else 'FAILS'}[/] "
        f"{claim.name}: {claim.value:g} {claim.unit} (bar {claim.bar})"
        for claim in claims
    ]
