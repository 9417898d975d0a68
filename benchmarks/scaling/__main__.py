"""Runs the scaling benchmark: `python -m benchmarks.scaling`, about half a minute.

Replays the paper's trace and Azure's in virtual time, for the paper's ResNet on a V100 (or another
`--profile`), with gshare's planner, controller and packer and with plain HPAs. Prints a table and
the bars, writes build/bench/scaling.json, and ends with 1 if a bar is missed. No time is measured:
the same everywhere.
"""

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import conditions, verdict
from gshare import profile
from gshare.errors import InputError
from gshare.runtime.report import Report

from . import bars, cases, figure, tables, traces
from .replay import Row, Run
from .service import BALANCERS, FIRST_FREE
from .traces import Scale, Trace
from .ways import HEADROOM
from .world import START_S

_ROOT: Final = Path(__file__).resolve().parents[2]
_AZURE: Final = _ROOT.parent / "shared" / "data" / "AzureLLMInferenceTrace_conv.csv"
_PROFILE: Final = _ROOT / "examples" / "paper" / "profiles" / "resnet.json"
_SPREADS_S: Final = (1.0, 15.0)
_QUICK_S: Final = 900.0


def main() -> None:
    """Run, print, write the report and the figure."""
    arguments = _arguments()
    try:
        rows = measured(arguments)
    except InputError as error:
        sys.exit(f"benchmarks.scaling: {error}")
    claims = verdict.failing_first(bars.claims_of(rows))
    report = Report(claims, rows, simulated=True, conditions=_conditions(arguments))
    report.write(arguments.report)
    out = verdict.console()
    tables.show(out, rows)
    if not arguments.azure.exists():
        out.print(f"{arguments.azure.name} is not there: --azure names it; only the paper's trace")
    if arguments.figure:
        out.print(*figure.draw(rows, arguments.figure))
    verdict.show(out, claims)
    sys.exit(0 if report.holds else 1)


def measured(arguments: argparse.Namespace) -> list[Row]:
    """Replay every way on every trace, a process a trace."""
    found = profile.read(arguments.profile.read_text(encoding="utf-8"), str(arguments.profile))
    slo_ms = arguments.slo_ms or found.slo_ms
    if slo_ms is None:
        raise InputError(str(arguments.profile), "slo_ms", None, "is missing: give --slo-ms")
    makers: list[Callable[[], Trace]] = [traces.paper]
    if arguments.azure.exists():
        seconds = _QUICK_S if arguments.quick else None
        scales = [Scale(arguments.rps, spread, seconds) for spread in _SPREADS_S]
        makers += [partial(traces.azure, arguments.azure, scale) for scale in scales]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_rows, maker, found, slo_ms, arguments.balancer) for maker in makers]
        return [row for job in jobs for row in job.result()]


def _rows(
    maker: Callable[[], Trace], found: profile.Profile, slo_ms: float, balancer: str
) -> list[Row]:
    return cases.rows(Run(maker(), found, slo_ms, balancer))


def _conditions(arguments: argparse.Namespace) -> dict[str, object]:
    return conditions.of("benchmarks.scaling", []) | {
        "profile": arguments.profile.name,
        "azure_mean_rps": arguments.rps,
        "pod_start_s": START_S,
        "headroom": HEADROOM,
        "balancer": arguments.balancer,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("build/bench/scaling.json"))
    parser.add_argument("--azure", type=Path, default=_AZURE, help=_AZURE.name)
    parser.add_argument("--rps", type=float, default=300.0, help="Azure's mean rate")
    parser.add_argument("--profile", type=Path, default=_PROFILE, help="of the function")
    parser.add_argument("--slo-ms", type=float, help="default: the profile's")
    parser.add_argument("--balancer", choices=BALANCERS, default=FIRST_FREE)
    parser.add_argument("--quick", action="store_true", help="a quarter of an hour of Azure's")
    parser.add_argument("--figure", type=Path, help="folder for scaling.png and scaling.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
