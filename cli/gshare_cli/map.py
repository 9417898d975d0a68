"""`gshare map`: the GPUs of this machine as rectangles, in the terminal or as an SVG page."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from . import observe, output, svg
from .session import SessionSettings


def show(settings: SessionSettings, out: Console, svg_file: Path | None, *, as_json: bool) -> None:
    """Print the GPUs' rectangles, as a picture or JSON, or write them to `svg_file`."""
    machine = observe.look(settings)
    if not machine.runs and not as_json:
        out.print("nothing runs on this machine's GPUs")
        return
    labels = {lease.lease_id: (lease.replica, lease.function) for _, lease in machine.leases()}
    kind = " (simulated)" if machine.is_simulated else ""
    layouts = [(gpu, machine.layout(gpu.uuid)) for gpu in machine.gpus]
    drawn = [
        (output.title_of(gpu, layout) + kind, output.boxes_of(layout, labels))
        for gpu, layout in layouts
    ]
    if as_json:
        gpus = [{"title": title, "boxes": [asdict(box) for box in boxes]} for title, boxes in drawn]
        out.print_json(json.dumps(gpus))
        return
    if svg_file:
        svg_file.write_text(svg.page(drawn), encoding="utf-8")
        return
    for title, boxes in drawn:
        out.print(title, highlight=False)
        out.print(output.picture_of(boxes, min(out.width - output.AXIS_COLUMNS, output.WIDEST_MAP)))
