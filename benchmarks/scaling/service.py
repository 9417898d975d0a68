"""Replicas that serve requests one at a time, behind a balancer of one of two kinds.

`FIRST_FREE` gives each request to the replica that is free first, as balancers that count what is
outstanding nearly do; `RANDOM` to any that is ready, as kube-proxy does. A request waits until its
replica is free, and then takes what the profile says of an unqueued one. A replica serves
`throughput` requests a second; what it could borrow above its quota is left out. One that is not
ready yet is free from when it is; one that leaves serves what it was given. Requests that come
while there is no replica wait for one.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Self

FIRST_FREE: Final = "first-free"
RANDOM: Final = "random"
BALANCERS: Final = (FIRST_FREE, RANDOM)
_DRAWS: Final = 1 << 12


@dataclass(frozen=True, slots=True)
class Kind:
    """How replicas of one shape serve: `slack_s` is what the SLO leaves for waiting, shuffled."""

    service_s: float
    slack_s: Sequence[float]

    @classmethod
    def of(
        cls, throughput_rps: float, latency_ms: tuple[float, float, float], slo_ms: float
    ) -> Self:
        """Return how a replica serves, from its throughput and p50, p95 and p99 unqueued."""
        service_s = 1 / throughput_rps
        found = _latencies(service_s * 1000, latency_ms)
        slack = [(slo_ms - latency) / 1000 for latency in found]
        random.Random(2).shuffle(slack)  # noqa: S311 (no secret)
        return cls(service_s, slack)


@dataclass(slots=True)
class Service:
    """The replicas, when each is free, and how many requests were served and were too slow."""

    balancer: str = FIRST_FREE
    requests: int = 0
    too_slow: int = 0
    _draw: random.Random = field(default_factory=lambda: random.Random(3))  # noqa: S311
    _free: list[tuple[float, int]] = field(default_factory=list)
    _kinds: dict[int, Kind] = field(default_factory=dict)
    _ready: dict[int, float] = field(default_factory=dict)
    _waiting: list[float] = field(default_factory=list)

    def add(self, key: int, kind: Kind, ready_s: float) -> None:
        """Add a replica that is ready at `ready_s`."""
        self._kinds[key], self._ready[key] = kind, ready_s
        heapq.heappush(self._free, (ready_s, key))
        waiting, self._waiting = self._waiting, []
        self.offer(waiting)

    def remove(self, key: int) -> float:
        """Take a replica away; return when it has served what it was given."""
        at = next(index for index, (_, each) in enumerate(self._free) if each == key)
        free, _ = self._free.pop(at)
        heapq.heapify(self._free)
        del self._kinds[key], self._ready[key]
        return free

    def offer(self, arrivals_s: Sequence[float]) -> None:
        """Let requests arrive, in order, at times that no replica comes or goes between."""
        if not self._free:
            self._waiting.extend(arrivals_s)
        elif not arrivals_s:
            return
        elif self.balancer == RANDOM:
            self._offer_at_random(arrivals_s)
        else:
            self._offer_first_free(arrivals_s)

    def _offer_first_free(self, arrivals_s: Sequence[float]) -> None:
        free, kinds, number = self._free, self._kinds, self.requests
        too_slow = 0
        for now in arrivals_s:
            since, key = free[0]
            kind = kinds[key]
            begin = max(since, now)
            heapq.heapreplace(free, (begin + kind.service_s, key))
            too_slow += begin - now > kind.slack_s[number % _DRAWS]
            number += 1
        self.requests = number
        self.too_slow += too_slow

    def _offer_at_random(self, arrivals_s: Sequence[float]) -> None:
        """Give each to any replica that was ready at the first, else to the one that will be."""
        free, kinds, number = self._free, self._kinds, self.requests
        at = [index for index, (_, key) in enumerate(free) if self._ready[key] <= arrivals_s[0]]
        chosen = at or [free.index(min(free))]
        too_slow = 0
        for now, place in zip(
            arrivals_s, self._draw.choices(chosen, k=len(arrivals_s)), strict=True
        ):
            since, key = free[place]
            kind = kinds[key]
            begin = max(since, now)
            free[place] = (begin + kind.service_s, key)
            too_slow += begin - now > kind.slack_s[number % _DRAWS]
            number += 1
        self.requests = number
        self.too_slow += too_slow

    @property
    def unserved(self) -> int:
        """Return how many requests wait for a first replica."""
        return len(self._waiting)


def _latencies(least_ms: float, quantiles_ms: tuple[float, float, float]) -> list[float]:
    """Return latencies evenly over the distribution whose p50, p95 and p99 are given."""
    p50, p95, p99 = quantiles_ms
    points = [(0.0, min(least_ms, p50)), (0.5, p50), (0.95, p95), (0.99, p99), (1.0, 2 * p99 - p95)]
    found = []
    for number in range(_DRAWS):
        part = (number + 0.5) / _DRAWS
        (low, before), (high, after) = next((a, b) for a, b in pairwise(points) if part <= b[0])
        found.append(before + (after - before) * (part - low) / (high - low))
    return found
