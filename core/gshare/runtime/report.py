"""The one form of every report: what was claimed, the raw rows, and where it ran.

`build/demo.json` and every `build/bench/*.json` are written by this module. A claim is one figure
that the project promises; it names its bar, so that a reader can judge it without the code.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Case = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Claim:
    """One promised figure: `value` in `unit`, and whether it holds against `bar`."""

    name: str
    value: float
    unit: str
    bar: str
    holds: bool

    @classmethod
    def compare(
        cls, name: str, value: float, unit: str, sign: Literal[">=", "<=", "=="], bar: float
    ) -> "Claim":
        """Judge `value` against `bar` as given, unrounded; the report shows four decimals."""
        holds = {">=": value >= bar, "<=": value <= bar, "==": value == bar}[sign]
        return cls(name, round(value, 4), unit, f"{sign} {bar:g}", holds)


@dataclass(frozen=True, slots=True)
class Report:
    """Claims, the cases they rest on, and the conditions: `simulated` GPU, `time_scale` and such.

    `conditions` holds settings that a reader needs to repeat the run, with units in their names.
    """

    claims: Sequence[Claim]
    cases: Sequence[Case]
    simulated: bool
    conditions: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Every claim holds."""
        return all(claim.holds for claim in self.claims)

    def as_json(self) -> str:
        """Return the report as indented JSON text, the machine described in it."""
        document = {
            "claims": [asdict(claim) for claim in self.claims],
            "cases": list(self.cases),
            "machine": describe_machine(),
            "simulated": self.simulated,
            "conditions": dict(self.conditions),
        }
        return json.dumps(document, indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the report, whole or not at all; makes the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(self.as_json(), encoding="utf-8")
        partial.replace(path)


def describe_machine() -> dict[str, object]:
    """Describe the host of a measurement: cores, memory (bytes), kernel, Python, load average."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_model() -> str:
    """Return the processor's own name, or its architecture where the kernel does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
