"""What one trial measured, and what all of them together promise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gshare.runtime.report import Claim

from .histograms import Histogram, Scrape

LEAST_RATIO: Final[Mapping[int, float]] = {1000: 0.85, 5000: 0.95}
"""Pods/s with the extender over those without it, by number of nodes."""
MOST_CONFLICTS_PERCENT: Final = 1.0

_ATTEMPT: Final = "scheduler_scheduling_attempt_duration_seconds"
_ALGORITHM: Final = "scheduler_scheduling_algorithm_duration_seconds"
_VERB: Final = "gshare_extender_request_seconds"
_CONFLICTS: Final = "gshare_extender_bind_conflicts_total"
_PERCENTS: Final = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Latency:
    """A histogram's figures, in milliseconds; percentiles are interpolated within buckets."""

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float

    @classmethod
    def of(cls, histogram: Histogram) -> "Latency":
        """Return the figures of a histogram of seconds."""
        ms = [round(1e3 * histogram.percentile_s(percent), 2) for percent in _PERCENTS]
        return cls(histogram.count, round(1e3 * histogram.mean_s, 3), *ms)


@dataclass(frozen=True, slots=True)
class Drain:
    """What the watch saw: when pods were bound after the first, and what each process used."""

    pods: int
    """Bound between the clock's begin and its end."""
    seconds: float
    cpu_s: Mapping[str, float]
    """CPU time of each process of the control plane in that time."""
    memory_bytes: Mapping[str, int]
    """Resident memory at its highest, by process."""
    host_busy_percent: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One number of nodes, with the extender or without it, once."""

    nodes: int
    has_extender: bool
    drain: Drain
    warm_pods: int
    """Bound before the clock began; the scheduler's and extender's histograms count them too."""
    attempts: Mapping[str, int]
    """The scheduler's attempts by result."""
    attempt: Latency
    """From the queue to the end of a bind that succeeded."""
    algorithm: Latency
    """Of that, filters and scores."""
    verbs: Mapping[str, Latency]
    conflicts: int
    scrape_ms: float
    """How long the extender's own metrics took to answer, once, after the clock's end."""

    @property
    def pods_per_s(self) -> float:
        """Return the throughput."""
        return self.drain.pods / self.drain.seconds

    @property
    def conflicts_percent(self) -> float:
        """Return the binds whose place was lost since filter, in percent of the pods."""
        return 100 * self.conflicts / (self.drain.pods + self.warm_pods)


def attempts(scheduler: Scrape) -> dict[str, int]:
    """Return the scheduler's attempts by result."""
    results = scheduler.values(_ATTEMPT, "result")
    return {each: scheduler.histogram(_ATTEMPT, result=each).count for each in results}


def attempt(scheduler: Scrape) -> Latency:
    """Return how long the scheduler's attempts took that bound a pod."""
    return Latency.of(scheduler.histogram(_ATTEMPT, result="scheduled"))


def algorithm(scheduler: Scrape) -> Latency:
    """Return how long the scheduler looked for a node."""
    return Latency.of(scheduler.histogram(_ALGORITHM))


def verbs(extender: Scrape) -> dict[str, Latency]:
    """Return how long the extender took by verb, by its own account."""
    found = extender.values(_VERB, "verb")
    return {verb: Latency.of(extender.histogram(_VERB, verb=verb)) for verb in found}


def conflicts(extender: Scrape) -> int:
    """Return the binds whose place was lost since filter."""
    return round(extender.total(_CONFLICTS))


def pods_per_s(trials: Sequence[Trial]) -> float:
    """Return the throughput of trials together: all pods over all seconds."""
    return sum(each.drain.pods for each in trials) / sum(each.drain.seconds for each in trials)


def claims(trials: Iterable[Trial]) -> list[Claim]:
    """Judge each number of nodes that was measured."""
    trials = tuple(trials)
    return [
        claim
        for nodes in sorted({each.nodes for each in trials})
        for claim in _claims_of(nodes, [each for each in trials if each.nodes == nodes])
    ]


def _claims_of(nodes: int, trials: Sequence[Trial]) -> list[Claim]:
    with_it = [each for each in trials if each.has_extender]
    without = [each for each in trials if not each.has_extender]
    worst = max(each.conflicts_percent for each in with_it)
    found = [
        Claim.compare(
            f"bind_conflicts_{nodes}_nodes", worst, "% of pods", "<=", MOST_CONFLICTS_PERCENT
        )
    ]
    if nodes in LEAST_RATIO:
        ratio = pods_per_s(with_it) / pods_per_s(without)
        name = f"throughput_ratio_{nodes}_nodes"
        found.append(Claim.compare(name, ratio, "x without extender", ">=", LEAST_RATIO[nodes]))
    return found
