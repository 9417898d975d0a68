"""The file in a GPU's folder that says where its leases lie; it may name some that have ended."""

import json
from pathlib import Path
from typing import Final

from gshare.layout import Layout
from gshare.rectangles import Rectangle

from .state import write_atomically

_FILE: Final = "layout.json"


def read(gpu: Path) -> Layout:
    """Return the layout last written in a GPU's folder, empty where there is none.

    ValueError, TypeError or AttributeError where the file is not one.
    """
    try:
        raw = json.loads((gpu / _FILE).read_text())
    except FileNotFoundError:
        return Layout()
    return Layout(tuple((key, Rectangle(*place)) for key, place in raw.items()))


def write(gpu: Path, layout: Layout) -> None:
    """Write where a GPU's leases lie, in one step; makes the folder."""
    gpu.mkdir(parents=True, exist_ok=True)
    places = {key: [place.x, place.y, place.width, place.height] for key, place in layout.places}
    write_atomically(gpu / _FILE, json.dumps(places))
