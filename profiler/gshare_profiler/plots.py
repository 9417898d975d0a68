"""The figures of a profile: throughput and latency curves, and RPR as a heat map; PNG and SVG.

Points are drawn as they were measured; lines and cells between them are what the law says, and
look otherwise. Nothing in a file depends on when it was made.
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from gshare.profile import Estimate, Point, Profile, estimate

_HASH_SALT: Final = "gshare"
_GREY: Final = "#8a8f98"
_STEPS: Final = 33
_DPI: Final = 110

Draw = Callable[[Any, Profile], None]


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
    simulated = ", simulated" if profile.is_simulated else ""
    return f"{profile.function}: {what} ({profile.gpu.model}{simulated})"


def _sms(profile: Profile) -> list[int]:
    return sorted({point.sm_percent for point in profile.points})


def _quotas(profile: Profile) -> list[int]:
    return sorted({point.quota_percent for point in profile.points})


def _throughput(figure: Any, profile: Profile) -> None:  # noqa: ANN401 (matplotlib's types are Any)
    by_quota, by_sm = figure.subplots(1, 2, sharey=True)
    _curves(by_quota, profile, lambda told: told.throughput_rps, lambda point: point.throughput_rps)
    by_quota.set_ylabel("requests/s")
    by_quota.set_ylim(bottom=0)
    for quota in _quotas(profile):
        points = [each for each in profile.points if each.quota_percent == quota]
        sms = [each.sm_percent for each in points]
        rates = [each.throughput_rps for each in points]
        by_sm.plot(sms, rates, "o-", markersize=3, linewidth=1, color=_colour(quota, 100))
        by_sm.annotate(f"{quota} %", (sms[-1], rates[-1]), (4, 0), textcoords="offset points")
    by_sm.set_xlabel("SM partition, %  (one line a quota)")
    figure.suptitle(_title(profile, "throughput of one replica"), fontsize=11)


def _latency(figure: Any, profile: Profile) -> None:  # noqa: ANN401
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, which in ((left, "p50_ms"), (right, "p99_ms")):
        _curves(
            axis,
            profile,
            (lambda told: told.p99_ms) if which == "p99_ms" else None,
            lambda point, which=which: float(getattr(point.latency, which)),  # type: ignore[misc]
        )
        axis.set_title(which.removesuffix("_ms"), fontsize=10)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        if profile.slo_ms is not None:
            axis.axhline(profile.slo_ms, color="#b3261e", linewidth=1, linestyle="--")
            axis.annotate(
                f"SLO {profile.slo_ms:g} ms", (0.02, profile.slo_ms), (0, 3),
                xycoords=("axes fraction", "data"), textcoords="offset points", color="#b3261e",
            )  # fmt: skip
    left.set_ylabel("latency at 80 % load, ms")
    figure.suptitle(_title(profile, "latency of one replica"), fontsize=11)


def _curves(
    axis: Any,  # noqa: ANN401
    profile: Profile,
    told: Callable[[Estimate], float] | None,
    measured: Callable[[Point], float],
) -> None:
    """Draw one curve a SM partition over the quota: the law's line, and the points measured."""
    quotas = _quotas(profile)
    for sm in _sms(profile):
        points = [point for point in profile.points if point.sm_percent == sm]
        colour = _colour(sm, 100)
        if told is not None:
            steps = np.linspace(quotas[0], quotas[-1], _STEPS).round().astype(int).tolist()
            found = [(step, estimate(profile, sm, step)) for step in steps]
            line = [(step, told(each)) for step, each in found if each is not None]
            axis.plot(*zip(*line, strict=True), color=colour, linewidth=1)
        at = [point.quota_percent for point in points]
        axis.plot(
            at, [measured(point) for point in points], "o", markersize=4, color=colour,
            label=f"{sm} %", linestyle="-" if told is None else "none", linewidth=1,
        )  # fmt: skip
    axis.set_xlabel("quota, %")
    axis.legend(title="SMs", fontsize=8, title_fontsize=8)


def _colour(value: float, most: float) -> Any:  # noqa: ANN401
    """Return a colour of a scale that also tells its ends apart in grey."""
    return mpl.colormaps["viridis"](0.9 * (1 - np.log(value) / np.log(most)))


def _heat_map(figure: Any, profile: Profile) -> None:  # noqa: ANN401
    axis = figure.subplots()
    sms, quotas = _sms(profile), _quotas(profile)
    cells = np.full((len(sms), len(quotas)), np.nan)
    told = {at: estimate(profile, *at) for at in itertools.product(sms, quotas)}
    for (sm, quota), found in told.items():
        if found is not None:
            cells[sms.index(sm), quotas.index(quota)] = rpr((sm, quota), found.throughput_rps)
    image = axis.imshow(
        cells, aspect="auto", origin="lower", cmap="YlGn", norm=mpl.colors.LogNorm()
    )
    for at, found in told.items():
        _cell(axis, (quotas.index(at[1]), sms.index(at[0])), _text(profile, at, found), found)
    axis.set_xticks(range(len(quotas)), [str(each) for each in quotas])
    axis.set_yticks(range(len(sms)), [str(each) for each in sms])
    axis.set_xlabel("quota, %")
    axis.set_ylabel("SM partition, %")
    figure.colorbar(image, ax=axis, label="requests/s per GPU share")
    figure.suptitle(_title(profile, "RPR, throughput by GPU share S x Q"), fontsize=11)


def _cell(axis: Any, at: tuple[int, int], text: str, found: Estimate | None) -> None:  # noqa: ANN401
    style = "normal" if found is not None and found.origin == "measured" else "italic"
    axis.text(*at, text, ha="center", va="center", fontsize=8, style=style)


def _text(profile: Profile, at: tuple[int, int], found: Estimate | None) -> str:
    """Return what stands in a cell: RPR, whether it is the law's word, and whether it is slow."""
    if any((each.sm_percent, each.quota_percent) == at for each in profile.failed):
        return "failed"
    if found is None:
        return "?"
    is_slow = profile.slo_ms is not None and found.p99_ms > profile.slo_ms
    mark = "" if found.origin == "measured" else "~"
    return f"{mark}{rpr(at, found.throughput_rps):.0f}" + ("\nover SLO" if is_slow else "")


_FIGURES: Final[dict[str, Draw]] = {
    "throughput": _throughput,
    "latency": _latency,
    "rpr": _heat_map,
}
NAMES: Final[Sequence[str]] = tuple(_FIGURES)
