"""The extender's metrics: one table of what is counted, and gauges read at each scrape."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gshare.ledger import GpuState, ProblemKind, RefusalKind
from gshare.rectangles import GPU_RECTANGLE

from .cluster import Cluster

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Gauges: name, help, labels.
_GAUGES: Final = (
    ("gshare_extender_ready", "1 where pods and nodes are known and fresh.", ()),
    ("gshare_extender_watch_connected", "1 while the watch is open.", ("resource",)),
    ("gshare_extender_reservations", "Places held for pods on their way.", ()),
    ("gshare_extender_problems", "Inconsistencies that are observed now.", ("kind",)),
    ("gshare_node_placements", "Pods that hold a rectangle.", ("node",)),
    ("gshare_node_gpu_area_ratio", "Share of the area of a node's GPUs in use.", ("node",)),
    ("gshare_node_gpu_free_area", "Area of a node's GPUs that is free, in GPUs.", ("node",)),
    ("gshare_node_gpu_free_memory_bytes", "Device memory promised to nobody.", ("node",)),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted as it happens."""

    registry: CollectorRegistry
    requests: Counter
    latency: Histogram
    conflicts: Counter
    expired: Counter
    touches: Counter
    preemptions: Counter
    victims: Counter
    lag: Histogram
    skew: Gauge


def counts() -> Counts:
    """Return all counters at zero, in a registry of their own."""
    registry = CollectorRegistry(auto_describe=False)

    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gshare_extender_{name}", text, labels, registry=registry)

    def histogram(name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            f"gshare_extender_{name}", text, labels, buckets=_SECONDS, registry=registry
        )

    return Counts(
        registry,
        counter("requests_total", "Requests by verb and outcome.", "verb", "outcome"),
        histogram("request_seconds", "Time to answer a request.", "verb"),
        counter("bind_conflicts_total", "Binds whose place was lost since filter."),
        counter("expired_reservations_total", "Reservations whose pod was not bound in time."),
        counter("touches_total", "Nodes touched so that waiting pods are tried again."),
        counter("preemptions_total", "Preemptions by outcome.", "outcome"),
        counter("evicted_pods_total", "Pods evicted for others of higher priority."),
        histogram("watch_lag_seconds", "From a bind to its pod in the watch."),
        Gauge(
            "gshare_extender_clock_skew_seconds",
            "How far the API server's clock is ahead of this machine's.",
            registry=registry,
        ),
    )


class ClusterCollector(Collector):
    """Reads the gauges from the ledger at each scrape; its lock is held for a millisecond."""

    def __init__(
        self,
        cluster: Cluster,
        trouble: Callable[[], str],
        connected: Callable[[], dict[str, bool]],
    ) -> None:
        self._cluster = cluster
        self._trouble = trouble
        self._connected = connected

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge of the table."""
        gauges = {
            name: GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _GAUGES
        }
        gauges["gshare_extender_ready"].add_metric((), float(not self._trouble()))
        for resource, is_open in self._connected().items():
            gauges["gshare_extender_watch_connected"].add_metric((resource,), float(is_open))
        with self._cluster.locked() as ledger:
            held, problems, states = ledger.reservations(), ledger.problems(), ledger.states()
        gauges["gshare_extender_reservations"].add_metric((), len(held))
        found = [problem.kind for problem in problems]
        for kind in ProblemKind:
            gauges["gshare_extender_problems"].add_metric((kind.value,), found.count(kind))
        for node in sorted(states):
            _add_node(gauges, node, states[node])
        yield from gauges.values()


def _add_node(gauges: dict[str, GaugeMetricFamily], node: str, states: Sequence[GpuState]) -> None:
    """Add what a node has; a GPU that two nodes list is free on neither."""
    labels = (node,)
    placements = sum(len(state.sizes) for state in states)
    gauges["gshare_node_placements"].add_metric(labels, placements)
    own = [state for state in states if state.obstacle is not RefusalKind.DOUBLED]
    if not own:
        return
    used = sum(state.used_area for state in own)
    area = len(own) * GPU_RECTANGLE.area
    memory = sum(max(0, state.memory_free_bytes) for state in own)
    gauges["gshare_node_gpu_area_ratio"].add_metric(labels, used / area)
    gauges["gshare_node_gpu_free_area"].add_metric(labels, (area - used) / GPU_RECTANGLE.area)
    gauges["gshare_node_gpu_free_memory_bytes"].add_metric(labels, memory)
