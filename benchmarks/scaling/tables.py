"""What the terminal shows: one table, the rows that matter of each trace."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from . import bars
from .replay import Row

_FIGURES = ("gpu_share", "gpu_area", "gpus_in_use", "over_slo_percent", "pod_starts")
_HEADINGS = ("GPUs, by share", "SM x time", "GPUs in use", "over SLO %", "pod starts")


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print the mean GPUs that each way held, and what it did with them."""
    table = Table("trace", "policy", "shapes")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for trace in bars.traces_of(rows):
        for name, row in bars.shown(rows, trace):
            table.add_row(trace, name, _shapes(row), *(str(row[figure]) for figure in _FIGURES))
        table.add_section()
    console.print(table)


def _shapes(row: Row) -> str:
    shapes = row["shapes"]
    names = [str(shape) for shape in shapes] if isinstance(shapes, list) else []
    return ", ".join(names) if len(names) <= 2 else f"{len(names)} of the profile"
