"""The report: one HTML file that holds all it shows, and opens without a network. Pure."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gshare.profile import Law, Point, Profile
from gshare.units import memory_text

from .result import Difference

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em;
       color: #1d2125; background: #fff; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .7em; text-align: right; border-bottom: 1px solid #e3e6ea; }
th { border-bottom: 2px solid #9aa1aa; }
svg { width: 100%; height: auto; }
.note { background: #fff6dc; padding: .5em 1em; border-left: 4px solid #d9a400; }
.slow { color: #b3261e; }
"""
_SVG: Final = re.compile(r"<svg\b.*</svg>", re.DOTALL)
_ID: Final = re.compile(r'(\bid="|"#|url\(#)')


def page(
    profile: Profile,
    drawings: Mapping[str, str],
    conditions: Mapping[str, object],
    beside: tuple[str, Sequence[Difference]] | None = None,
) -> str:
    """Return the report of `profile`; `drawings` are SVG documents by name.

    `beside` is another profile's name and how this one differs from it.
    """
    title = html.escape(f"Profile of {profile.function}")
    parts = [
        f"<h1>{title}</h1>",
        _summary(profile),
        *(_inline(name, text) for name, text in drawings.items()),
        "<h2>Points</h2>",
        _points(profile, {} if beside is None else {(d.sm, d.quota): d for d in beside[1]}, beside),
        _failed(profile),
        "<h2>Conditions</h2>",
        _table(("", ""), [(str(key), str(value)) for key, value in conditions.items()]),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _summary(profile: Profile) -> str:
    gpu = profile.gpu
    text = (
        f"One replica on {gpu.model} ({gpu.sm_count} SMs, {memory_text(gpu.memory_bytes)}), alone "
        "on its GPU, held to its SM partition and its quota. Throughput is that of a saturated "
        "replica, latency that at 80 % of it."
    )
    lines = [text]
    if profile.slo_ms is not None:
        kept = sum(point.latency.p99_ms <= profile.slo_ms for point in profile.points)
        lines.append(
            f"{kept} of {len(profile.points)} points keep the SLO of {profile.slo_ms:g} ms."
        )
    if profile.law is not None:
        lines.append(_law_text(profile.law))
    shown = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if profile.is_simulated:
        shown += '<p class="note">Measured on a simulated GPU: no figure is from hardware.</p>'
    return shown


def _law_text(law: Law) -> str:
    trend = law.throughput
    return (
        f"Law: {trend.level:.3g} requests/s x quota^{trend.quota_exponent:.2f}, growing with the "
        f"SMs up to about {trend.bend_percent:.0f} %. What 95 % of the points differ by at most "
        f"from what the others say: throughput {100 * law.throughput_error:.1f} %, p99 "
        f"{100 * law.p99_error:.1f} %."
    )


def _inline(name: str, drawing: str) -> str:
    """Return a drawing as an element of the page, its identifiers made its own."""
    found = _SVG.search(drawing)
    return "" if found is None else _ID.sub(rf"\g<1>{name}-", found[0])


def _points(
    profile: Profile,
    differences: Mapping[tuple[int, int], Difference],
    beside: tuple[str, Sequence[Difference]] | None,
) -> str:
    headings = ["SM %", "quota %", "requests/s", "p50 ms", "p95 ms", "p99 ms"]
    headings += ["GPU %", "SM occupancy %", "memory", "trials"]
    headings += [] if beside is None else [beside[0], "difference"]
    rows = [
        [*_cells(point, profile.slo_ms), *_beside(differences.get(point.key), beside is not None)]
        for point in profile.points
    ]
    return _table(headings, rows)


def _cells(point: Point, slo_ms: float | None) -> list[str]:
    p99 = f"{point.latency.p99_ms:.1f}"
    is_slow = slo_ms is not None and point.latency.p99_ms > slo_ms
    return [
        str(point.sm_percent),
        str(point.quota_percent),
        f"{point.throughput_rps:.2f}",
        f"{point.latency.p50_ms:.1f}",
        f"{point.latency.p95_ms:.1f}",
        f"{p99} over SLO" if is_slow else p99,
        _percent(point.gpu_utilization),
        _percent(point.sm_occupancy),
        memory_text(point.memory_bytes),
        str(point.trials),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _beside(found: Difference | None, is_asked: bool) -> list[str]:  # noqa: FBT001 (of a row)
    if not is_asked:
        return []
    return (
        ["", ""] if found is None else [f"{found.there_rps:.2f}", f"{100 * found.relative:+.1f} %"]
    )


def _failed(profile: Profile) -> str:
    if not profile.failed:
        return ""
    rows = [(str(each.sm_percent), str(each.quota_percent), each.reason) for each in profile.failed]
    return "<h2>Failed</h2>" + _table(("SM %", "quota %", "why, tried twice"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
