"""Histograms and counters as a process shows them to Prometheus, read from text."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations in buckets: `counts[i]` of them are at most `bounds[i]` seconds (cumulative).

    The last bound is infinity.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum_s: float

    def __post_init__(self) -> None:
        """Refuse buckets that are no histogram, with ValueError."""
        if len(self.bounds) != len(self.counts) or not self.bounds:
            raise ValueError(f"{len(self.bounds)} bounds, {len(self.counts)} counts: must be alike")
        if not math.isinf(self.bounds[-1]):
            raise ValueError(f"last bound {self.bounds[-1]}: must be infinity")
        if any(more < less for less, more in itertools.pairwise(self.counts)):
            raise ValueError(f"counts {self.counts}: must not fall")

    @property
    def count(self) -> int:
        """Return the number of observations."""
        return round(self.counts[-1])

    @property
    def mean_s(self) -> float:
        """Return the mean, which is exact; 0 without observations."""
        return self.sum_s / self.counts[-1] if self.counts[-1] else 0.0

    def percentile_s(self, percent: float) -> float:
        """Return a percentile as Prometheus' `histogram_quantile` does; 0 without observations.

        Observations count as spread evenly over their bucket. One above the last finite bound
        counts as that bound, since nothing is known of it.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"percent {percent}: must be 0 to 100")
        rank = self.counts[-1] * percent / 100
        below_s, before = 0.0, 0.0
        for bound_s, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > before:
                if math.isinf(bound_s):
                    return below_s
                return below_s + (bound_s - below_s) * (rank - before) / (count - before)
            below_s, before = bound_s, count
        return 0.0


@dataclass(frozen=True, slots=True)
class Scrape:
    """All samples of one reading of a process's metrics."""

    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]

    @classmethod
    def parse(cls, text: str) -> "Scrape":
        """Read the text format of Prometheus; ValueError where it is none."""
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls(samples)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum over all series of a counter or gauge that carry `labels`."""
        return sum(value for _, value in self._matching(name, labels))

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return all series of a histogram that carry `labels` as one; LookupError without any."""
        counts: dict[float, float] = {}
        for found, value in self._matching(f"{name}_bucket", labels):
            bound = float(found["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        if not counts:
            raise LookupError(f"no histogram {name} with {labels}")
        bounds = tuple(sorted(counts))
        by_bound = tuple(counts[bound] for bound in bounds)
        return Histogram(bounds, by_bound, self.total(f"{name}_sum", **labels))

    def values(self, name: str, label: str) -> list[str]:
        """Return the values of `label` among the series of a histogram, sorted."""
        found = self.samples.get(f"{name}_count", ())
        return sorted({labels[label] for labels, value in found if label in labels and value})

    def _matching(
        self, name: str, labels: Mapping[str, str]
    ) -> Iterator[tuple[Mapping[str, str], float]]:
        for found, value in self.samples.get(name, ()):
            if labels.items() <= found.items():
                yield found, value
