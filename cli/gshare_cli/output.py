"""What `gshare` prints: tables, prefixed log lines, drawings. Rich does the rest."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.style import Style
from rich.table import Table
from rich.text import Text

from gshare.modes import Timetable
from gshare.units import memory_text

from .colours import colour_of
from .drawing import Box, picture
from .usage import Usage
from .views import GpuView, ReplicaView

MAP_ROWS = 20
WIDEST_MAP = 100
AXIS_COLUMNS = 8


def prefix(replica: ReplicaView, width: int) -> Text:
    """Return the coloured `resnet-0 | ` that stands before each line of a replica."""
    return Text(f"{replica.name:<{width}} | ", style=colour_of(replica.function))


def picture_of(boxes: Sequence[Box], columns: int, rows: int = MAP_ROWS) -> Text:
    """Return one GPU's rectangles with their axes."""
    text = Text("100 ┤ ", style="dim")
    for index, row in enumerate(picture(boxes, columns, rows)):
        if index:
            text.append("    │ " if index != rows // 2 else " SM │ ", style="dim")
        for cell in row:
            text.append(cell.character, style=_style(cell.function))
        text.append("\n")
    text.append(f"  % └─0{'time %':─^{max(0, columns - 4)}}100", style="dim")
    return text


def _style(function: str | None) -> Style:
    if function is None:
        return Style(dim=True)
    return Style(color="black", bgcolor=colour_of(function))


def boxes_of(layout: Timetable, labels: Mapping[str, tuple[str, str]]) -> list[Box]:
    """Return a layout's boxes, one for each piece; `labels` has each lease's name and function."""
    return [
        Box(*labels[key], place.x, place.y, place.width, place.height)
        for key, place in layout.pieces
        if key in labels
    ]


def title_of(gpu: GpuView, layout: Timetable) -> str:
    """Return the line above a GPU's picture."""
    return f"GPU {gpu.index}: {gpu.name}, {layout.used_area / 100:g} % of the rectangle in use"


def replica_table(
    replicas: Iterable[ReplicaView], usage: Usage | None, *, simulated: bool
) -> Table:
    """Return what each replica was promised and what it got."""
    title = _title(simulated=simulated)
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for heading in ("replica", "function", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("GPU", "SM\n%", "request\n%", "limit\n%", "delivered\n%", "memory", "restarts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for replica in replicas:
        table.add_row(*_cells(replica, usage))
    return table


def _cells(replica: ReplicaView, usage: Usage | None) -> list[str]:
    delivered = usage.delivered_percent.get(replica.lease_id or "") if usage else None
    return [
        f"[{colour_of(replica.function)}]{escape(replica.name)}[/]",
        escape(replica.function),
        replica.state.value,
        "-" if replica.gpu_index is None else str(replica.gpu_index),
        str(replica.sm_percent),
        str(replica.quota_request_percent),
        str(replica.quota_limit_percent),
        "-" if delivered is None else f"{delivered:.1f}",
        memory_text(replica.memory_bytes) if replica.memory_bytes else "-",
        str(replica.restarts),
    ]


def _title(*, simulated: bool) -> str:
    return "GPU time, promised and delivered" + (" (simulated GPU)" if simulated else "")


def usage_lines(usage: Usage) -> list[str]:
    """Return one line a GPU: how busy it was."""
    return [
        f"{gpu.name} {gpu.uuid}: utilisation {gpu.utilisation_percent:.1f} %, "
        f"SM occupancy {gpu.sm_occupancy_percent:.1f} %, "
        f"at most {gpu.max_concurrent_sm_percent} % of the SMs held at once"
        for gpu in usage.gpus
    ]


def error_console() -> Console:
    """Return the console of standard error; lines are never wrapped there."""
    return Console(stderr=True, soft_wrap=True, highlight=False)
