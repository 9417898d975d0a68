"""What `gshare profile` shows: progress with the time that is left, and the profile as a table."""

import asyncio
import contextlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gshare.profile import Point, Profile
from gshare.units import memory_text
from gshare_profiler.design import At
from gshare_profiler.figures import percentile
from gshare_profiler.journal import Trial
from gshare_profiler.result import Difference

_REFRESH_S: Final = 0.25


class ProgressView:
    """A bar on a terminal, a line a trial elsewhere; told by the campaign."""

    def __init__(self, console: Console, most: int, done: Sequence[Trial]) -> None:
        self._console = console
        self._most = most
        self._seconds = [trial.seconds for trial in done]
        # No thread may run while processes are started, so it is drawn by `refreshing` alone.
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "starting", total=most, completed=len(done), left=self._left()
        )

    @contextlib.contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the bar drawn while the block runs."""
        with self._progress:
            drawing = asyncio.create_task(self._draw())
            try:
                yield
            finally:
                drawing.cancel()

    def began(self, at: At, attempt: int) -> None:
        """Show which trial runs."""
        again = "" if attempt == 1 else ", once more"
        self._progress.update(self._task, description=f"SM {at[0]} quota {at[1]}{again}")

    def failed(self, at: At, attempt: int, reason: str) -> None:
        """Say why an attempt gave no figures."""
        self._progress.console.print(
            f"SM {at[0]} quota {at[1]}: attempt {attempt} failed: {reason}",
            style="red", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip

    def done(self, result: Trial) -> None:
        """Say what a trial gave."""
        self._seconds.append(result.seconds)
        self._progress.update(self._task, advance=1, left=self._left())
        if result.measured is None:
            return
        measured = result.measured
        self._progress.console.print(
            f"SM {result.sm:>3} quota {result.quota:>3}: {measured.throughput_rps:7.2f} req/s, "
            f"p99 {measured.p99_ms:6.1f} ms  ({len(self._seconds)} of at most {self._most}, "
            f"{result.seconds:.0f} s{'; ' + self._left() if self._left() else ''})",
            highlight=False, soft_wrap=True,
        )  # fmt: skip

    def _left(self) -> str:
        """Return how long the rest takes, as the trials so far did."""
        left = max(0, self._most - len(self._seconds))
        if not self._seconds or not left:
            return ""
        seconds = round(left * statistics.fmean(self._seconds))
        return f"{seconds // 60}:{seconds % 60:02} left"

    async def _draw(self) -> None:
        while True:
            self._progress.refresh()
            await asyncio.sleep(_REFRESH_S)


def profile_table(profile: Profile, beside: str | None, differences: Sequence[Difference]) -> Table:
    """Return a profile's points, those of another one beside them."""
    simulated = " (simulated GPU)" if profile.is_simulated else ""
    title = f"Profile of {profile.function} on {profile.gpu.model}{simulated}"
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    headings = ["SM\n%", "quota\n%", "\nreq/s", "p50\nms", "p95\nms", "p99\nms", "GPU\n%"]
    headings += ["SM occu-\npancy %", "\nmemory"]
    if beside is not None:
        headings += [f"{beside}\nreq/s", "differ-\nence"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    rows = {point.key: _cells(point, profile.slo_ms) for point in profile.points}
    others = {(each.sm, each.quota): each for each in differences}
    for at in sorted({*rows, *others}):
        cells = rows.get(at) or _told(others[at])
        other = others.get(at)
        extra = [f"{other.there_rps:.1f}", f"{100 * other.relative:+.1f} %"] if other else ["", ""]
        table.add_row(*cells, *([] if beside is None else extra))
    return table


def _cells(point: Point, slo_ms: float | None) -> list[str]:
    p99 = f"{point.latency.p99_ms:.1f}"
    return [
        str(point.sm_percent),
        str(point.quota_percent),
        f"{point.throughput_rps:.2f}",
        f"{point.latency.p50_ms:.1f}",
        f"{point.latency.p95_ms:.1f}",
        f"[red]{p99}[/]" if slo_ms is not None and point.latency.p99_ms > slo_ms else p99,
        _percent(point.gpu_utilization),
        _percent(point.sm_occupancy),
        memory_text(point.memory_bytes),
    ]


def _told(other: Difference) -> list[str]:
    """Return the row of a shape that was not measured here: what the law says."""
    return [str(other.sm), str(other.quota), f"[italic]~{other.here_rps:.2f}[/]", *[""] * 6]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def difference_line(beside: str, differences: Sequence[Difference]) -> str:
    """Return how a profile compares with another one, in one line."""
    off = [abs(100 * each.relative) for each in differences]
    told = sum(not each.is_measured for each in differences)
    by_law = f", {told} of them told by the law" if told else ""
    return (
        f"Against {beside} at {len(off)} shapes{by_law}: median {statistics.median(off):.1f} %, "
        f"95th percentile {percentile(off, 95):.1f} %, at most {max(off):.1f} %."
    )
