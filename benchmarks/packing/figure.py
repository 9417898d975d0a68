"""The figure of the README: how full GPUs get, and who is turned away, as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from .found import Row
from .ways import OURS

_SHOWN: Final = ("quota only", "SM only", "rectpack maxrects", "maximal rectangles", *OURS)
_MIXES: Final = ("fast", "gridinv", "small")
_OURS_COLOR: Final = "#2f6f4f"
_OTHERS_COLOR: Final = "#b8bec6"


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw packing.png and packing.svg of B2 on 4 GPUs into `folder`; nothing without its rows."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "gshare"
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt  # noqa: PLC0415 (after the back end is chosen)

    found = {
        (row["mix"], row["way"]): float(str(row["used_percent"]))
        for row in rows
        if row["part"] == "B2" and row["gpus"] == 4
    }
    if not all((mix, way) in found for mix in _MIXES for way in _SHOWN):
        return []
    figure, axes = plt.subplots(1, len(_MIXES), figsize=(9, 2.4), sharey=True)
    for axis, mix in zip(axes, _MIXES, strict=True):
        _bars(axis, mix, [found[mix, way] for way in _SHOWN])
    figure.suptitle("Percent of 4 GPUs in use when the first function is refused", fontsize=10)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "packing.png", folder / "packing.svg"]
    figure.savefig(paths[0], dpi=110, metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths


def _bars(axis: Any, mix: str, values: Sequence[float]) -> None:  # noqa: ANN401 (has no stubs)
    colors = [_OURS_COLOR if way in OURS else _OTHERS_COLOR for way in _SHOWN]
    labels = [f"gshare {way}" if way in OURS else way for way in _SHOWN]
    drawn = axis.barh(labels, values, color=colors)
    axis.bar_label(drawn, fmt="%.0f", padding=2, fontsize=8)
    axis.set_title(mix, fontsize=9)
    axis.set_xlim(0, 110)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
