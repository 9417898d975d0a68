"""The figures that are promised of the default policy, and the rows that it is judged beside. Pure.

Area is by dominant share: the larger of a replica's parts of a GPU's area and of its memory, which
is what the planner minimises; the area of SMs and time alone stands beside it in every row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gshare.runtime.report import Claim

from .cases import DEFAULT, HPA_ONE_SHAPE, HPA_WHOLE_GPU
from .replay import Row

MOST_OVER_ONE_SHAPE: Final = 1.1
MOST_OVER_WHOLE_GPUS: Final = 0.5
USUAL_OBJECTIVE_PERCENT: Final = 1.0
"""Of requests over the SLO, that the paper allows."""


def claims_of(rows: Sequence[Row]) -> list[Claim]:
    """Judge the default policy on every trace."""
    return [claim for trace in traces_of(rows) for claim in _claims(rows, trace)]


def traces_of(rows: Iterable[Row]) -> list[str]:
    """Return the names of the traces, each once."""
    return list(dict.fromkeys(str(row["trace"]) for row in rows))


def shown(rows: Sequence[Row], trace: str) -> list[tuple[str, Row]]:
    """Return the rows of a trace that the table shows, under what it calls them."""
    hpas = _of(rows, trace, HPA_ONE_SHAPE)
    named = [
        (str(row["policy"]), row)
        for row in rows
        if row["trace"] == trace and row["policy"] not in {HPA_ONE_SHAPE, HPA_WHOLE_GPU}
    ]
    kept = [row for row in hpas if _over(row) <= USUAL_OBJECTIVE_PERCENT]
    return [
        *named,
        (f"{HPA_ONE_SHAPE}, as good", best_one_shape(rows, trace)),
        *[(f"{HPA_ONE_SHAPE}, 1 % late", min(kept, key=_share)) for _ in kept[:1]],
        (f"{HPA_ONE_SHAPE}, cheapest", min(hpas, key=_share)),
        (HPA_WHOLE_GPU, whole_gpus(rows, trace)),
    ]


def best_one_shape(rows: Sequence[Row], trace: str) -> Row:
    """Return the cheapest one-shape HPA with no more requests over the SLO than the default has.

    Where none has so few, the one with the fewest.
    """
    hpas = _of(rows, trace, HPA_ONE_SHAPE)
    most = _over(default(rows, trace))
    as_good = [row for row in hpas if _over(row) <= most]
    return (
        min(as_good, key=_share)
        if as_good
        else min(hpas, key=lambda row: (_over(row), _share(row)))
    )


def whole_gpus(rows: Sequence[Row], trace: str) -> Row:
    """Return the cheaper HPA on whole GPUs."""
    return min(_of(rows, trace, HPA_WHOLE_GPU), key=_share)


def default(rows: Sequence[Row], trace: str) -> Row:
    """Return the row of the default policy."""
    return _of(rows, trace, DEFAULT)[0]


def _claims(rows: Sequence[Row], trace: str) -> list[Claim]:
    ours, best = default(rows, trace), best_one_shape(rows, trace)
    whole = whole_gpus(rows, trace)
    compare: Callable[..., Claim] = Claim.compare
    return [
        compare(
            f"{trace}: GPUs, default over the best one-shape HPA",
            _share(ours) / _share(best),
            "x",
            "<=",
            MOST_OVER_ONE_SHAPE,
        ),
        compare(
            f"{trace}: over the SLO, default beside the best one-shape HPA",
            _over(ours),
            "%",
            "<=",
            _over(best),
        ),
        compare(
            f"{trace}: GPUs, default over whole GPUs",
            _share(ours) / _share(whole),
            "x",
            "<=",
            MOST_OVER_WHOLE_GPUS,
        ),
    ]


def _of(rows: Iterable[Row], trace: str, policy: str) -> list[Row]:
    return [row for row in rows if row["trace"] == trace and row["policy"] == policy]


def _share(row: Row) -> float:
    return float(str(row["gpu_share"]))


def _over(row: Row) -> float:
    return float(str(row["over_slo_percent"]))
