"""The figure: what each way costs against the requests that it served too late, PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from . import bars
from .cases import DEFAULT, HPA_ONE_SHAPE, HPA_WHOLE_GPU, RPR_ALONE, RPR_HELD
from .replay import Row

_LOOKS: Final = {
    HPA_ONE_SHAPE: ("#b8bec6", "o", 22),
    HPA_WHOLE_GPU: ("#6b7280", "s", 40),
    RPR_ALONE: ("#c2703d", "v", 40),
    RPR_HELD: ("#c2703d", "^", 40),
    DEFAULT: ("#2f6f4f", "D", 55),
}
"""Colour, marker and size of each policy; drawn in this order."""
_GPUS: Final = (0.2, 0.5, 1, 2, 5)
_PERCENTS: Final = (0, 0.1, 1, 10, 100)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw scaling.png and scaling.svg into `folder`: a panel a trace, a point a way."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "gshare"
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt  # noqa: PLC0415 (after the back end is chosen)

    traces = bars.traces_of(rows)
    figure, axes = plt.subplots(1, len(traces), figsize=(3.6 * len(traces), 3.4), squeeze=False)
    for axis, trace in zip(axes[0], traces, strict=True):
        _panel(axis, trace, [row for row in rows if row["trace"] == trace])
    axes[0][0].set_ylabel("requests over the SLO, %", fontsize=8)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "scaling.png", folder / "scaling.svg"]
    figure.savefig(paths[0], dpi=110, metadata={"Software": None})
    figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths


def _panel(axis: Any, trace: str, rows: Sequence[Row]) -> None:  # noqa: ANN401 (has no stubs)
    for policy, (color, marker, size) in _LOOKS.items():
        points = [
            (row["gpu_share"], row["over_slo_percent"]) for row in rows if row["policy"] == policy
        ]
        if points:
            gpus, over = zip(*points, strict=True)
            axis.scatter(gpus, over, c=color, marker=marker, s=size, label=policy)
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=0.1)
    axis.set_ylim(-0.02, 100)
    axis.set_xticks(_GPUS, [f"{gpus:g}" for gpus in _GPUS])
    axis.set_yticks(_PERCENTS, [f"{percent:g}" for percent in _PERCENTS])
    axis.minorticks_off()
    axis.set_xlim(_GPUS[0] * 0.85, _GPUS[-1] * 1.5)
    axis.set_title(trace, fontsize=9)
    axis.set_xlabel("mean GPUs, by dominant share", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(visible=True, color="#e5e7eb", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
