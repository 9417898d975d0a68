"""`python -m benchmarks.modelstore`: measures, prints, writes the report, exits 1 on a miss."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import conditions, host, verdict
from benchmarks.host import Measured
from benchmarks.quota.gpu import BenchError
from gshare import names
from gshare.runtime.native import Native
from gshare.runtime.report import Report

from . import calls, fleet, memory, places, pss, starts, tiers, weights
from .calls import Calls
from .memory import Footprint
from .starts import Starts

_REPORT: Final = Path("build/bench/modelstore.json")
_ATTEMPTS: Final = 3


def main() -> int:
    """Measure everything; times anew, as often as the flags allow, where others used the host."""
    flags = _flags()
    out = verdict.console()
    native = Native.locate(os.environ.get(names.ENV_NATIVE_DIR))
    torch_python = pss.python_with_torch(flags.torch_python)
    try:
        footprints, fleets = memory.measure(native), fleet.measure(native)
        with weights.on_disk(flags.report.parent) as file:
            together = pss.measure(file, torch_python)
            moved = tiers.measure(native, file)
            timed = host.in_quiet(lambda: _timed(native, file), flags.attempts, out.print)
    except BenchError as error:
        sys.exit(str(error))
    report = _report(footprints, fleets, [*together, moved], timed)
    _show(out, footprints, report.cases)
    if torch_python is None:
        out.print("PyTorch: not measured: no Python here has it (Debian: python3-torch)")
    verdict.show(out, report.claims)
    report.write(flags.report)
    out.print(f"report: {flags.report}")
    return 0 if report.holds else 1


def _timed(native: Native, file: Path) -> list[tuple[Starts, Calls]]:
    with places.both(native) as found:
        return [(starts.measure(place, file), calls.measure(place)) for place in found]


def _report(
    footprints: Sequence[Footprint],
    fleets: list[fleet.Held],
    together: Sequence[pss.Together | tiers.Moved],
    timed: Measured[list[tuple[Starts, Calls]]],
) -> Report:
    claims = [claim for each in footprints for claim in each.claims()]
    claims += fleet.claims(fleets)
    claims += [claim for each in together for claim in each.claims()]
    rows = [*memory.rows(footprints), *(each.row() for each in fleets)]
    rows += [each.row() for each in together]
    for start, call in timed.found:
        claims += [*start.claims(), *call.claims()]
        rows += [*start.rows(), *call.rows()]
    known = conditions.of("benchmarks.modelstore", [timed])
    known |= {
        "simulated_parts": "GPU memory and copies to the GPU; host memory, sockets, disk are real",
        "host_was_busy": timed.host_was_busy,
        "attempts": timed.attempts,
        "has_torch": any(row.get("through") == "torch" for row in rows),
    }
    return Report(verdict.failing_first(claims), rows, simulated=True, conditions=known)


def _show(out: Console, footprints: Sequence[Footprint], rows: Sequence[object]) -> None:
    """Print memory as a table with the paper's figures, all else a line a row."""
    table = Table("model", "pod", "sharing", "store", "less", "pays from", title="MiB (paper, MB)")
    for each in footprints:
        paper = each.model
        table.add_row(
            paper.name,
            f"{each.original_mib:g} ({paper.original_mb})",
            f"{each.sharing_mib:g} ({paper.sharing_mb})",
            f"{each.store_mib:g} ({paper.store_mb})",
            f"{each.reduction_percent:.1f} % ({paper.reduction_percent:.1f})",
            f"{each.break_even_pods} pods ({paper.break_even_pods})",
        )
    out.print(table)
    for row in rows:
        if isinstance(row, dict) and row["part"] != "memory":
            out.print(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items()))


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelstore", description=__doc__)
    parser.add_argument("--attempts", type=int, default=_ATTEMPTS, help="tries for a quiet host")
    parser.add_argument("--report", type=Path, default=_REPORT)
    parser.add_argument(
        "--torch-python", help="a Python with PyTorch; default: Debian's, if it has"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
