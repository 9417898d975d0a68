"""What `gshare demo` measured in one mode, and the claims that it makes of it; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gshare.runtime.report import Case, Claim

from .usage import Usage
from .views import ReplicaView

Mode = Literal["shared", "time_sharing"]

LEAST_DELIVERED_PERCENT: Final = 97
"""Of its quota request, in any replica."""
MOST_ABOVE_LIMIT_POINTS: Final = 2


@dataclass(frozen=True, slots=True)
class ReplicaResult:
    """What one replica was promised and what it got, in percent of the time of its GPU."""

    name: str
    function: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    delivered_percent: float
    requests_per_second: float
    """At real speed: times the time scale."""

    @property
    def kept_percent(self) -> float:
        """Delivered of requested GPU time; 100 is the promise."""
        return 100 * self.delivered_percent / self.quota_request_percent

    @property
    def above_limit_points(self) -> float:
        """Return how far the delivered GPU time is above the limit; 0 or less keeps it."""
        return self.delivered_percent - self.quota_limit_percent


@dataclass(frozen=True, slots=True)
class ModeResult:
    """One mode's measurement: its GPUs' means and its replicas."""

    mode: Mode
    seconds: float
    usage: Usage
    replicas: tuple[ReplicaResult, ...]
    host_busy_percent: float
    """Busy share of the host's cores meanwhile, everything included."""

    @property
    def gpus_used(self) -> int:
        """Return how many GPUs the replicas needed."""
        return len(self.usage.gpus)

    @property
    def functions(self) -> tuple[str, ...]:
        """Return the functions in the order of their replicas."""
        return tuple(dict.fromkeys(replica.function for replica in self.replicas))

    def requests_per_second(self, function: str | None = None) -> float:
        """Return the rate of all replicas, or of those of `function`."""
        return sum(
            replica.requests_per_second
            for replica in self.replicas
            if function in (None, replica.function)
        )

    def as_case(self) -> Case:
        """Return the report's row for this mode."""
        return {
            "mode": self.mode,
            "gpus_used": self.gpus_used,
            "utilisation_percent": round(self.usage.mean_utilisation_percent(), 2),
            "sm_occupancy_percent": round(self.usage.mean_sm_occupancy_percent(), 2),
            "max_concurrent_sm_percent": self.usage.max_concurrent_sm_percent(),
            "requests_per_second_per_gpu": round(self.requests_per_second() / self.gpus_used, 2),
            "host_busy_percent": round(self.host_busy_percent, 1),
            "replicas": [_replica_case(replica) for replica in self.replicas],
        }


def _replica_case(replica: ReplicaResult) -> Case:
    return {
        "name": replica.name,
        "function": replica.function,
        "sm": replica.sm_percent,
        "quota_request": replica.quota_request_percent,
        "quota_limit": replica.quota_limit_percent,
        "delivered_percent": round(replica.delivered_percent, 2),
        "requests_per_second": round(replica.requests_per_second, 2),
    }


def replica_results(
    views: Sequence[ReplicaView], usage: Usage, rates_rps: dict[str, float]
) -> tuple[ReplicaResult, ...]:
    """Join what was promised (`views`), delivered (`usage`) and answered (rates by name)."""
    return tuple(
        ReplicaResult(
            name=view.name,
            function=view.function,
            sm_percent=view.sm_percent,
            quota_request_percent=view.quota_request_percent,
            quota_limit_percent=view.quota_limit_percent,
            delivered_percent=usage.delivered_percent.get(view.lease_id or "", 0.0),
            requests_per_second=rates_rps.get(view.name, 0.0),
        )
        for view in views
    )


def claims(shared: ModeResult) -> list[Claim]:
    """Judge the shared mode: one GPU, every promise kept, no limit passed, no SM over-committed."""
    compare = Claim.compare
    kept = min(replica.kept_percent for replica in shared.replicas)
    above = max(replica.above_limit_points for replica in shared.replicas)
    concurrent = shared.usage.max_concurrent_sm_percent()
    return [
        compare("gpus_used", shared.gpus_used, "GPUs", "==", 1),
        compare(
            "least_delivered_of_request", kept, "% of quota request", ">=", LEAST_DELIVERED_PERCENT
        ),
        compare("most_above_limit", above, "points", "<=", MOST_ABOVE_LIMIT_POINTS),
        compare("max_concurrent_sm", concurrent, "% of SMs", "<=", 100),
    ]
