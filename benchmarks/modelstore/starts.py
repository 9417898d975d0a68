"""How long a replica's start takes to have 1 GiB of weights: already kept, and from disk."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gshare.runtime.report import Claim

from . import weights
from .places import Place
from .running import once

REPLICAS: Final = 8
_FROM_DISK: Final = 3
_BAR_MS: Final = 20


@dataclass(frozen=True, slots=True)
class Starts:
    """What the replicas of one place said, in the order of their starts, by how they got weights.

    `shared` begins with the second replica; the first, which loads for all, is `first`.
    """

    place: str
    first: dict[str, Any]
    shared: Sequence[dict[str, Any]]
    cached: Sequence[dict[str, Any]]
    """Each loads for itself, the file in the page cache."""
    cold: Sequence[dict[str, Any]]
    """The same, the file's pages dropped before."""

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield the rows of the report."""
        ways = {
            "first replica, loads and stores": [self.first],
            "2nd and later replicas, weights kept": self.shared,
            "alone, file in the page cache": self.cached,
            "alone, file on disk": self.cold,
        }
        for way, found in ways.items():
            yield {"part": "start", "place": self.place, "way": way, **_figures(found)}

    def claims(self) -> list[Claim]:
        """Judge the slowest of the replicas that find the weights kept."""
        slowest = max(each["weights_ms"] for each in self.shared)
        name = f"time to 1 GiB that is kept, {self.place}, slowest of {len(self.shared)}"
        return [Claim.compare(name, slowest, "ms", "<=", _BAR_MS)]


def measure(place: Place, file: Path) -> Starts:
    """Start replicas one after the other on a place whose store keeps nothing yet."""
    flags = [f"--key={weights.KEY}", f"--file={file}", f"--through={place.through}"]
    alone = [*flags, "--socket=/nowhere"]
    first, *shared = (_start([*flags, *place.flags], place) for _ in range(REPLICAS))
    _start(alone, place)
    cached = [_start(alone, place) for _ in range(_FROM_DISK)]
    cold = []
    for _ in range(_FROM_DISK):
        weights.forget(file)
        cold.append(_start(alone, place))
    _check([first, *shared], alone=[*cached, *cold])
    return Starts(place.name, first, shared, cached, cold)


def _start(flags: Sequence[str], place: Place) -> dict[str, Any]:
    return once("replica", flags, place.environment)


def _check(shared: Sequence[dict[str, Any]], alone: Sequence[dict[str, Any]]) -> None:
    """Make sure that all have seen the same weights, and none shared that was not to."""
    everyone = [*shared, *alone]
    assert all(each["is_shared"] for each in shared), shared  # noqa: S101 (a check)
    assert not any(each["is_shared"] for each in alone), alone  # noqa: S101
    assert len({each["sum"] for each in everyone}) == 1, everyone  # noqa: S101
    assert all(each["tensors"] == weights.TENSORS for each in everyone)  # noqa: S101


def _figures(found: Sequence[dict[str, Any]]) -> dict[str, object]:
    """Return medians and the slowest, and what was read from the disk at most."""
    weights_ms = [each["weights_ms"] for each in found]
    return {
        "replicas": len(found),
        "weights_median_ms": round(statistics.median(weights_ms), 2),
        "weights_slowest_ms": round(max(weights_ms), 2),
        "look_at_all_median_ms": round(statistics.median(each["look_ms"] for each in found), 2),
        "context_median_ms": round(statistics.median(each["context_ms"] for each in found), 2),
        "read_from_disk_bytes": max(each["disk_bytes"] for each in found),
    }
