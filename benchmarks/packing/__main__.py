"""Runs the packing benchmark: `python -m benchmarks.packing`.

B2, first-refusal utilisation, for each mix, number of GPUs and way to place; prints a table and
writes build/bench/packing.json. Counts and areas hold on any machine; the decision times are the
host's, with the choice among all GPUs in a plain loop.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gshare.runtime.report import Claim, Report

from . import first_refusal
from .mixes import MIXES, openb

STREAMS = {1: 100, 4: 60, 16: 12}
QUICK_STREAMS = {1: 20, 4: 12, 16: 2}
USUAL_MIXES = ("fast", "gridinv", "small")
LEAST_USED_PERCENT = {("fast", 4, "rect"): 88.0, ("fast", 4, "sliced"): 93.0}


def main() -> None:
    """Run, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("build/bench/packing.json"))
    parser.add_argument("--quick", action="store_true", help="fewer streams")
    parser.add_argument(
        "--mix", choices=sorted(MIXES), action="append", help="instead of the usual"
    )
    parser.add_argument("--openb", type=Path, help="openb_pod_list_default.csv, one more mix")
    arguments = parser.parse_args()
    mixes = {name: MIXES[name] for name in arguments.mix or USUAL_MIXES}
    if arguments.openb:
        mixes["openb"] = openb(arguments.openb)
    streams = QUICK_STREAMS if arguments.quick else STREAMS
    cases = [
        case for name, mix in mixes.items() for case in first_refusal.cases(name, mix, streams)
    ]
    Report(claims_of(cases), cases, simulated=False).write(arguments.report)
    print_table(cases)


def claims_of(cases: Iterable[dict[str, object]]) -> list[Claim]:
    """Judge the figures that are promised."""
    cases = tuple(cases)
    refuted = sum(int(str(case["infeasible_sets"])) for case in cases)
    found = {(case["mix"], case["gpus"], case["how"]): case for case in cases}
    return [
        Claim.compare("infeasible_sets", refuted, "sets that the exact test refuses", "==", 0),
        *(
            Claim.compare(
                f"used_percent_{mix}_{gpus}_gpus_{how}",
                float(str(found[mix, gpus, how]["used_percent"])),
                "% of the area",
                ">=",
                least,
            )
            for (mix, gpus, how), least in LEAST_USED_PERCENT.items()
            if (mix, gpus, how) in found
        ),
    ]


def print_table(cases: Iterable[dict[str, object]]) -> None:
    """Print one line a case."""
    table = Table("mix", "GPUs", "how", "used %", "slices mean (most)", "decision p50 (p99) us")
    for case in cases:
        table.add_row(
            str(case["mix"]),
            str(case["gpus"]),
            str(case["how"]),
            f"{case['used_percent']} ± {case['standard_error']}",
            f"{case['slices_mean']} ({case['slices_most']})",
            f"{case['decision_p50_us']} ({case['decision_p99_us']})",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
