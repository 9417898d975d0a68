"""How long a token's hand-over leaves the GPU empty, and what the daemon takes of a core."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.quota import load, plan
from benchmarks.quota.cases import Case, Client
from benchmarks.quota.figures import percentile
from benchmarks.quota.gpu import BenchGpu
from benchmarks.quota.measure import Run
from benchmarks.quota.measure import measure as measure_case
from gshare.runtime.native import Native
from gshare.runtime.report import Claim
from gshare_simgpu import Span

_PAIR = Case(
    "hand-over",
    "hand-over",
    tuple(Client(f"half-{number}", 100, 50, 1000) for number in (1, 2)),
    seconds=6.0,
)
_DAEMON_BARS = {"paper-depth-2": 3.0, "leases-48": 10.0}
_DAEMON_S = 8.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Gaps of hand-overs in microseconds, in order of length, and runs of the daemon."""

    gaps_us: Sequence[float]
    runs: Sequence[Run]

    def rows(self) -> list[dict[str, object]]:
        """Return the rows of the report."""
        hand_over = {
            "part": "hand-over",
            "what": "end of one lease's last kernel to the other's first",
            "count": len(self.gaps_us),
            **{
                f"p{percent}_us": round(percentile(self.gaps_us, percent), 1)
                for percent in (1, 10, 50, 90, 99)
            },
        }
        return [hand_over, *(_daemon_row(run) for run in self.runs)]

    def claims(self) -> list[Claim]:
        """Judge the usual hand-over and the daemon."""
        return [
            Claim.compare("hand_over_p50_us", percentile(self.gaps_us, 50), "us", "<=", 60),
            *(
                Claim.compare(
                    f"daemon_cpu_percent_{len(run.leases)}_leases",
                    run.figures["daemon_cpu_percent"],
                    "% of a core",
                    "<=",
                    _DAEMON_BARS[run.case.name],
                )
                for run in self.runs
            ),
        ]


def measure(native: Native) -> Tokens:
    """Let two leases of the whole GPU take turns; then run 8 leases, and 48."""
    gaps_us = sorted(gap_ns / 1e3 for gap_ns in hand_overs(_spans(native)))
    runs = []
    for name in _DAEMON_BARS:
        (case,) = plan.named(name)
        runs += measure_case((dataclasses.replace(case, seconds=_DAEMON_S),), native)
    return Tokens(gaps_us, runs)


def hand_overs(spans: Sequence[Span]) -> list[int]:
    """Return the ns between the end of one label's span and the begin of another's next."""
    pairs = pairwise(sorted(spans, key=lambda span: span.begin_ns))
    return [
        after.begin_ns - before.end_ns for before, after in pairs if before.label != after.label
    ]


def _spans(native: Native) -> Sequence[Span]:
    with BenchGpu(_PAIR, native) as gpu, load.clients(gpu, native) as clients:
        for client in clients:
            client.go()
        time.sleep(_PAIR.seconds)
        return gpu.node.spans(gpu.gpu.uuid).spans


def _daemon_row(run: Run) -> dict[str, object]:
    return {
        "part": "daemon",
        "case": run.case.name,
        "leases": len(run.leases),
        "window_us": run.case.window_us,
        "daemon_cpu_percent": round(run.figures["daemon_cpu_percent"], 2),
    }
