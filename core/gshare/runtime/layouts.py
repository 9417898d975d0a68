"""The file in a GPU's folder that says where its leases lie; it may name some that have ended.

    {"a-1": [0, 0, 60, 50]}                                 rectangles: x, y, quota, SM partition
    {"a-1": {"sm": 50, "slices": [[0, 40], [60, 20]]}}      slices: start and width of each

Rectangles are the form of agents that knew nothing else, and a GPU is in one form as a whole. Such
an agent takes slices for a file that it cannot read, and lays out anew.
"""

import json
from pathlib import Path
from typing import Any, Final

from gshare import modes
from gshare.layout import Layout
from gshare.modes import Timetable
from gshare.rectangles import Rectangle
from gshare.sliced import Share, SlicedLayout

from .state import write_atomically

_FILE: Final = "layout.json"


def read(gpu: Path) -> Timetable:
    """Return the layout last written in a GPU's folder, empty where there is none.

    ValueError, TypeError, KeyError or AttributeError where the file is not one.
    """
    try:
        raw = json.loads((gpu / _FILE).read_text())
    except FileNotFoundError:
        return Layout()
    if any(isinstance(place, dict) for place in raw.values()):
        return SlicedLayout(tuple((key, _share(share)) for key, share in raw.items()))
    return Layout(tuple((key, Rectangle(*place)) for key, place in raw.items()))


def write(gpu: Path, timetable: Timetable) -> None:
    """Write where a GPU's leases lie, in one step; makes the folder."""
    gpu.mkdir(parents=True, exist_ok=True)
    write_atomically(gpu / _FILE, json.dumps(_form(timetable)))


def _form(timetable: Timetable) -> dict[str, Any]:
    if isinstance(timetable, Layout):
        return {key: [at.x, at.y, at.width, at.height] for key, at in timetable.places}
    return {
        key: {"sm": size.height, "slices": timetable.slices(key)}
        for key, size in modes.sizes_of(timetable).items()
    }


def _share(raw: dict[str, Any]) -> Share:
    return Share(raw["sm"], tuple((start, width) for start, width in raw["slices"]))
