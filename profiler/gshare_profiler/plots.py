"""The figures of a profile: throughput and latency curves, and RPR as a heat map; PNG and SVG.

Points are drawn as they were measured; what the profile says between them is a line of the same
colour, or a cell in italics. Nothing in a file depends on when it was made.
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from gshare.profile import Estimate, Point, Profile, estimate

_HASH_SALT: Final = "gshare"
_RED: Final = "#b3261e"
_DARK: Final = 0.6
_STEPS: Final = 33
_DPI: Final = 110

Draw = Callable[[Any, Profile], None]
"""Matplotlib's own types are Any."""


def draw(profile: Profile, folder: Path) -> dict[str, Path]:
    """Draw every figure into `folder`, as NAME.png and NAME.svg; return the SVGs by name."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = _HASH_SALT
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt  # noqa: PLC0415 (after the back end is chosen)

    found = {}
    for name, paint in _FIGURES.items():
        figure = plt.figure(figsize=(9, 4.4), layout="constrained")
        paint(figure, profile)
        figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
        found[name] = folder / f"{name}.svg"
        figure.savefig(found[name], metadata={"Date": None})
        plt.close(figure)
    return found


def rpr(shape: tuple[int, int], throughput_rps: float) -> float:
    """Return requests per second per resource: throughput by the GPU's share S x Q."""
    return throughput_rps / (shape[0] * shape[1] / 10_000)


def _title(profile: Profile, what: str) -> str:
    model = profile.gpu.model
    is_said = not profile.is_simulated or "simulated" in model.lower()
    return f"{profile.function}: {what} ({model}{'' if is_said else ', simulated'})"


def _sms(profile: Profile) -> list[int]:
    return sorted({point.sm_percent for point in profile.points})


def _quotas(profile: Profile) -> list[int]:
    return sorted({point.quota_percent for point in profile.points})


def _throughput(figure: Any, profile: Profile) -> None:  # noqa: ANN401
    by_quota, by_sm = figure.subplots(1, 2, sharey=True)
    _told_curves(by_quota, profile)
    _points_by_sm(by_quota, profile, lambda point: point.throughput_rps, linestyle="none")
    by_quota.set_ylabel("requests/s")
    by_quota.set_ylim(bottom=0)
    quotas = _quotas(profile)
    for index, quota in enumerate(quotas):
        points = [each for each in profile.points if each.quota_percent == quota]
        sms = [each.sm_percent for each in points]
        rates = [each.throughput_rps for each in points]
        by_sm.plot(sms, rates, "o-", markersize=3, linewidth=1, color=_colour(index, len(quotas)))
        by_sm.annotate(f"{quota} %", (sms[-1], rates[-1]), (4, 0), textcoords="offset points")
    by_sm.set_xlim(right=112)
    by_sm.set_xlabel("SM partition, % (one line a quota)")
    figure.suptitle(_title(profile, "throughput of one replica"), fontsize=11)


def _latency(figure: Any, profile: Profile) -> None:  # noqa: ANN401
    axes = figure.subplots(1, 2, sharey=True)
    for axis, name in zip(axes, ("p50", "p99"), strict=True):
        _points_by_sm(axis, profile, _percentile(name), linestyle="-")
        axis.set_title(name, fontsize=10)
        axis.set_yscale("log")
        _plain_ticks(axis.yaxis)
        if profile.slo_ms is not None:
            axis.axhline(profile.slo_ms, color=_RED, linewidth=1, linestyle="--")
            axis.text(
                0.98, profile.slo_ms, f"SLO {profile.slo_ms:g} ms", color=_RED, ha="right",
                va="bottom", transform=axis.get_yaxis_transform(),
            )  # fmt: skip
    axes[0].set_ylabel("latency at 80 % load, ms")
    figure.suptitle(_title(profile, "latency of one replica"), fontsize=11)


def _percentile(name: str) -> Callable[[Point], float]:
    return lambda point: float(getattr(point.latency, f"{name}_ms"))


def _told_curves(axis: Any, profile: Profile) -> None:  # noqa: ANN401
    """Draw what the profile says of each SM partition between its points."""
    quotas, sms = _quotas(profile), _sms(profile)
    steps = sorted({round(step) for step in np.linspace(quotas[0], quotas[-1], _STEPS)})
    for index, sm in enumerate(sms):
        told = [(step, estimate(profile, sm, step)) for step in steps]
        line = [(step, each.throughput_rps) for step, each in told if each is not None]
        axis.plot(*zip(*line, strict=True), color=_colour(index, len(sms)), linewidth=1)


def _points_by_sm(
    axis: Any,  # noqa: ANN401
    profile: Profile,
    measured: Callable[[Point], float],
    linestyle: str,
) -> None:
    """Draw what was measured over the quota, one colour a SM partition."""
    sms = _sms(profile)
    for index, sm in enumerate(sms):
        points = [point for point in profile.points if point.sm_percent == sm]
        axis.plot(
            [point.quota_percent for point in points],
            [measured(point) for point in points],
            marker="o", markersize=4, color=_colour(index, len(sms)), label=f"{sm} %",
            linestyle=linestyle, linewidth=1,
        )  # fmt: skip
    axis.set_xlabel("quota, %")
    axis.legend(title="SMs", fontsize=8, title_fontsize=8)


def _heat_map(figure: Any, profile: Profile) -> None:  # noqa: ANN401
    axis = figure.subplots()
    sms, quotas = _sms(profile), _quotas(profile)
    told = {at: estimate(profile, *at) for at in itertools.product(sms, quotas)}
    values = [np.nan if each is None else rpr(at, each.throughput_rps) for at, each in told.items()]
    cells = np.array(values).reshape(len(sms), len(quotas))
    scale = mpl.colors.LogNorm(np.nanmin(cells), 1.01 * np.nanmax(cells))
    image = axis.pcolormesh(cells, cmap="YlGn", norm=scale, edgecolors="white")
    for (at, found), value in zip(told.items(), values, strict=True):
        is_dark = found is not None and bool(scale(value) > _DARK)
        axis.text(
            quotas.index(at[1]) + 0.5, sms.index(at[0]) + 0.5, _text(profile, at, found),
            ha="center", va="center", fontsize=8, color="white" if is_dark else "black",
            style="normal" if found is not None and found.origin == "measured" else "italic",
        )  # fmt: skip
    axis.set_xticks(np.arange(len(quotas)) + 0.5, [str(each) for each in quotas])
    axis.set_yticks(np.arange(len(sms)) + 0.5, [str(each) for each in sms])
    axis.set_xlabel("quota, %")
    axis.set_ylabel("SM partition, %")
    _plain_ticks(figure.colorbar(image, ax=axis, label="requests/s per GPU share").ax.yaxis)
    figure.suptitle(_title(profile, "RPR, throughput by GPU share S x Q"), fontsize=11)


def _text(profile: Profile, at: tuple[int, int], found: Estimate | None) -> str:
    """Return what stands in a cell: RPR, whether it is the law's word, and whether it is slow."""
    if any((each.sm_percent, each.quota_percent) == at for each in profile.failed):
        return "failed"
    if found is None:
        return "?"
    is_slow = profile.slo_ms is not None and found.p99_ms > profile.slo_ms
    mark = "" if found.origin == "measured" else "~"
    return f"{mark}{rpr(at, found.throughput_rps):.0f}" + ("\nover SLO" if is_slow else "")


def _colour(index: int, count: int) -> Any:  # noqa: ANN401
    """Return a colour of a scale whose ends differ in grey too."""
    return mpl.colormaps["viridis"](0.9 * index / max(1, count - 1))


def _plain_ticks(axis: Any) -> None:  # noqa: ANN401
    """Label a logarithmic axis with plain numbers."""
    from matplotlib import ticker  # noqa: PLC0415 (as pyplot)

    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(ticker.NullFormatter())


_FIGURES: Final[dict[str, Draw]] = {
    "throughput": _throughput,
    "latency": _latency,
    "rpr": _heat_map,
}
NAMES: Final[Sequence[str]] = tuple(_FIGURES)
