"""The figures that are promised, and the rows of the report that they are judged on. Pure.

Where a bar says no mode it is judged on sliced, which packs best; rect's figure stands beside it
in the report. Plans ("all known before") are what `placement.place_all` makes of a workload.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gshare.runtime.report import Claim

from .found import Row
from .ways import OURS

Sign = Literal[">=", "<=", "=="]


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure of the rows that match, beside what is promised of it."""

    figure: str
    sign: Sign
    least_or_most: float
    unit: str
    where: tuple[tuple[str, object], ...]

    def claims(self, rows: Iterable[Row]) -> list[Claim]:
        """Judge every row that matches; none where none was measured."""
        return [
            Claim.compare(
                " ".join([str(value) for _, value in self.where] + [self.figure]),
                float(str(row[self.figure])),
                self.unit,
                self.sign,
                self.least_or_most,
            )
            for row in rows
            if self.figure in row and all(row.get(key) == value for key, value in self.where)
        ]


def _where(**fields: object) -> tuple[tuple[str, object], ...]:
    return tuple(fields.items())


BARS: Final[Sequence[Bar]] = (
    *(
        Bar("used_percent", ">=", least, "%", _where(part="B2", way=way, mix="fast", gpus=4))
        for way, least in (("rect", 88), ("sliced", 93))
    ),
    *(
        Bar("ratio", "<=", most, "x bound", _where(part="B3", way="sliced", mix=mix, pods=300))
        for mix, most in (("fast", 1.04), ("gridinv", 1.04), ("small", 1.06))
    ),
    Bar("refused_percent", "<=", 0.5, "%", _where(part="B4", way="sliced", mix="fast", gpus=64)),
    *(
        Bar(
            "over_optimum_percent",
            "<=",
            2,
            "%",
            _where(part="B5", way="sliced, all known before", mix=mix),
        )
        for mix in ("fast", "gridinv", "small")
    ),
    *(Bar("infeasible_sets", "==", 0, "sets", _where(part="B7", way=way)) for way in OURS),
    Bar("sets_that_missed", "==", 0, "sets", _where(part="B7", way="rect", kernel_us=100)),
)


def claims_of(rows: Sequence[Row]) -> list[Claim]:
    """Judge what was measured."""
    return [
        *(
            Claim.compare(
                f"B1 {row['way']} orders_not_on_one_gpu",
                int(str(row["orders"])) - int(str(row["orders_on_one_gpu"])),
                f"of {row['orders']} orders",
                "==",
                0,
            )
            for row in rows
            if row["part"] == "B1" and row["way"] in OURS
        ),
        *(claim for bar in BARS for claim in bar.claims(rows)),
    ]
