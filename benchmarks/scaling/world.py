"""A function's replicas over virtual time: scaled, started, placed, drained, and what they cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gshare.profile import Profile
from gshare.scaling import Option, Shape

from .fleet import Fleet
from .service import Kind, Service

START_S: Final = 12.0
"""From a replica's creation to its first request."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica, when it was created and from when it serves."""

    option: Option
    created_s: float
    ready_s: float


@dataclass(slots=True)
class Spent:
    """What the replicas held, in GPU-seconds: by area, by dominant share; GPUs in use; starts."""

    area: float = 0.0
    share: float = 0.0
    gpus: float = 0.0
    starts: int = 0


@dataclass(slots=True)
class World:
    """The replicas there are. Times before `counted_from_s` serve to warm up and cost nothing."""

    profile: Profile
    options: Mapping[Shape, Option]
    slo_ms: float
    counted_from_s: float
    end_s: float
    service: Service = field(default_factory=Service)
    spent: Spent = field(default_factory=Spent)
    _replicas: dict[int, Replica] = field(default_factory=dict)
    _fleet: Fleet = field(init=False)
    _kinds: dict[Shape, Kind] = field(init=False)
    _next: int = 0

    def __post_init__(self) -> None:
        """Start with no replica."""
        self._fleet = Fleet(self.profile.gpu)
        self._kinds = {shape: self._kind(shape) for shape in self.options}

    def running(self) -> Counter[Shape]:
        """Return how many replicas there are, by shape."""
        return Counter(replica.option.shape for replica in self._replicas.values())

    def ready(self, now_s: float) -> Counter[Shape]:
        """Return how many of them serve, by shape."""
        return Counter(
            replica.option.shape for replica in self._replicas.values() if replica.ready_s <= now_s
        )

    def scale(self, now_s: float, wanted: Mapping[Shape, int], start_s: float = START_S) -> None:
        """Start and end replicas so that there are as many of each shape as `wanted`."""
        running = self.running()
        for shape in sorted(self.options):
            difference = wanted.get(shape, 0) - running[shape]
            for _ in range(difference):
                self._start(self.options[shape], now_s, now_s + start_s)
            for key in self._leaving(shape, now_s)[: max(0, -difference)]:
                self._end(key, now_s)

    def pass_time(self, now_s: float, until_s: float, arrivals_s: Sequence[float]) -> None:
        """Let requests arrive from now until then, with the replicas as they are."""
        self.service.offer(arrivals_s)
        self.spent.gpus += self._fleet.used * self._counted(now_s, until_s)

    def close(self) -> None:
        """Count what the replicas that are left have cost until the end."""
        for replica in self._replicas.values():
            self._spend(replica, self.end_s)

    def _start(self, option: Option, now_s: float, ready_s: float) -> None:
        key, self._next = self._next, self._next + 1
        self._replicas[key] = Replica(option, now_s, ready_s)
        self._fleet.take(key, option.shape, option.memory_bytes)
        self.service.add(key, self._kinds[option.shape], ready_s)
        self.spent.starts += now_s >= self.counted_from_s and ready_s > now_s

    def _leaving(self, shape: Shape, now_s: float) -> list[int]:
        """Return the replicas of a shape as a ReplicaSet ends them: those not ready first."""
        own = {key: each for key, each in self._replicas.items() if each.option.shape == shape}
        waiting = [key for key, each in own.items() if each.ready_s > now_s]
        ready = [key for key, each in own.items() if each.ready_s <= now_s]
        return [*reversed(waiting), *self._fleet.order_of_departure(ready)]

    def _end(self, key: int, now_s: float) -> None:
        replica = self._replicas.pop(key)
        self._fleet.leave(key)
        drained_s = self.service.remove(key)
        is_serving = replica.ready_s <= now_s
        self._spend(replica, max(now_s, drained_s) if is_serving else now_s)

    def _spend(self, replica: Replica, until_s: float) -> None:
        held_s = self._counted(replica.created_s, until_s)
        self.spent.area += replica.option.shape.area / 10_000 * held_s
        self.spent.share += replica.option.cost * held_s

    def _counted(self, since_s: float, until_s: float) -> float:
        return max(0.0, min(until_s, self.end_s) - max(since_s, self.counted_from_s))

    def _kind(self, shape: Shape) -> Kind:
        point = self.profile.at(shape.sm_percent, shape.quota_percent)
        if point is None:
            raise ValueError(f"{shape}: is no point of the profile")
        found = point.latency
        quantiles = (found.p50_ms, found.p95_ms, found.p99_ms)
        return Kind.of(self.options[shape].throughput_rps, quantiles, self.slo_ms)
