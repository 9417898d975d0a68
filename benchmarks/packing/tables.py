"""What the terminal shows: one table, a line a case."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .found import Row

_CASE = ("part", "way", "mix", "gpus", "pods", "what", "kernel_us")


def show(console: Console, rows: Sequence[Row]) -> None:
    """Print part and way, the case, and every figure with its name."""
    table = Table("part", "way", "case", "found")
    for row in sorted(rows, key=lambda row: str(row["part"])):
        case = [f"{key} {row[key]}" for key in _CASE[2:] if key in row]
        rest = [f"{key} {value}" for key, value in row.items() if key not in _CASE]
        table.add_row(str(row["part"]), str(row["way"]), ", ".join(case), ", ".join(rest))
    console.print(table)
