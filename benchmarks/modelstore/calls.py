"""What a `get` of weights that are kept takes, and how many clients may come each second."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.quota.figures import percentile
from gshare.runtime.report import Claim

from . import weights
from .places import Place
from .running import once

GETS: Final = 2000
CONNECTS: Final = 3000
RATE: Final = 500.0
_GET_BAR_US: Final = 300
_RATE_BAR: Final = 500


@dataclass(frozen=True, slots=True)
class Calls:
    """Microseconds in order of length, and what went wrong."""

    place: str
    gets_us: Sequence[float]
    paced_us: Sequence[float]
    """Connect, get and close of clients that come evenly, from when each is due."""
    paced_failed: int
    closely_per_s: float
    """How many connects a second where one client follows the other without a pause."""

    def rows(self) -> list[dict[str, object]]:
        """Return the rows of the report."""
        return [
            {"part": "get", "place": self.place, **_percentiles(self.gets_us)},
            {
                "part": "connect, get, close",
                "place": self.place,
                "asked_per_s": RATE,
                "failed": self.paced_failed,
                "most_per_s_of_one_program": round(self.closely_per_s),
                **_percentiles(self.paced_us),
            },
        ]

    def claims(self) -> list[Claim]:
        """Judge the usual get, and that as many clients as asked find the store."""
        most = f"connects of one program, {self.place}"
        failed = f"failed at {RATE:g} connects a second, {self.place}"
        get_us = percentile(self.gets_us, 50)
        return [
            Claim.compare(f"get of 1 GiB, {self.place}, p50", get_us, "us", "<=", _GET_BAR_US),
            Claim.compare(most, self.closely_per_s, "/s", ">=", _RATE_BAR),
            Claim.compare(failed, self.paced_failed, "", "==", 0),
        ]


def measure(place: Place) -> Calls:
    """Call the store of a place that keeps the weights."""
    gets = _call(place, "gets", str(GETS))
    paced = _call(place, "connects", str(CONNECTS), str(RATE))
    closely = _call(place, "connects", str(CONNECTS))
    return Calls(
        place.name,
        sorted(gets["us"]),
        sorted(paced["us"]),
        paced["failed"],
        (CONNECTS - closely["failed"]) / closely["seconds"],
    )


def _call(place: Place, *words: str) -> dict[str, Any]:
    flags = [*words, f"--key={weights.KEY}", f"--device={place.device}", *place.flags]
    return once("caller", flags, place.environment)


def _percentiles(times_us: Sequence[float]) -> dict[str, object]:
    found = {f"p{each}_us": round(percentile(times_us, each), 1) for each in (50, 99)}
    return {"count": len(times_us), **found}
