"""What the load program is told on its command line, and the lines that it says. Pure.

It says one JSON object a line: a `Phase` as it begins, and at its end `Figures`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from gshare.errors import GshareError

from ..request import Request  # noqa: TID252 (siblings are imported relatively)
from ..settings import TrialSettings  # noqa: TID252


class Phase(StrEnum):
    """What the load does now."""

    WARM_UP = "warm_up"
    SATURATION = "saturation"
    HOLD = "hold"
    """Load as in saturation, not counted: whoever watches may be behind."""
    LATENCY = "latency"


MODULE: Final = __package__
"""Run by `python -m`; in the profiler's image it is the program `gshare-profiler-load`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the load."""

    request: Request
    settings: TrialSettings
    hold_s: float = 0.0
    """Keep the saturation up for so long after it was measured."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the load measured; `failure` says why it gave up, and then nothing else counts."""

    throughput_rps: float = 0.0
    offered_rps: float = 0.0
    """The rate of the arrivals whose latencies these are."""
    requests: int = 0
    """How many were counted, in both parts."""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    failure: str = ""


def arguments(plan: Plan, url: str) -> list[str]:
    """Return the command line of the load program, after its name."""
    return [msgspec.json.encode(plan).decode(), url]


def read_plan(text: str) -> Plan:
    """Return the plan that `arguments` wrote."""
    return msgspec.json.decode(text, type=Plan)


def line_of(said: Phase | Figures) -> str:
    """Return the line that says `said`."""
    kind = "phase" if isinstance(said, Phase) else "figures"
    return msgspec.json.encode({kind: said}).decode()


def read_line(line: str) -> Phase | Figures | None:
    """Return what a line of the load says, None where it says something else (a warning, a log).

    GshareError where it is one of ours and broken off.
    """
    if not line.startswith(('{"phase":', '{"figures":')):
        return None
    try:
        said: dict[str, Any] = msgspec.json.decode(line)
        if "phase" in said:
            return Phase(said["phase"])
        return msgspec.convert(said["figures"], Figures)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise GshareError(f"the load said something odd: {line[:200]!r}: {error}") from error
