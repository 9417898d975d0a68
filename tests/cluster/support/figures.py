"""What the scenarios measured, as one report: `build/bench/cluster_tests.json`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gshare.runtime.report import Claim, Report


@dataclass(slots=True)
class Figures:
    """Collects claims while tests run; `conditions` are settings that a reader needs."""

    claims: list[Claim] = field(default_factory=list)
    cases: list[dict[str, object]] = field(default_factory=list)
    conditions: dict[str, object] = field(default_factory=dict)

    def claim(
        self, name: str, value: float, unit: str, sign: Literal[">=", "<=", "=="], bar: float
    ) -> None:
        """Judge a figure, keep it, and fail the test if it does not hold."""
        judged = Claim.compare(name, value, unit, sign, bar)
        self.claims.append(judged)
        assert judged.holds, f"{name}: {value:.2f} {unit}, promised {judged.bar}"

    def write(self, path: Path) -> None:
        """Write the report, if anything was measured."""
        if self.claims or self.cases:
            conditions = self.conditions
            Report(self.claims, self.cases, simulated=True, conditions=conditions).write(path)
