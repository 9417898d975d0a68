"""What a model store counts, for Prometheus. One table names all of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .books import Counts
from .catalogue import Catalogue
from .protocol import Tier

COUNTERS: Final = {
    "gshare_store_hits": ("hits", "Requests for weights that were answered with them."),
    "gshare_store_loads": ("loads", "Loads that clients were told to make."),
    "gshare_store_stored": ("stored", "Weights that clients stored."),
    "gshare_store_promotions": ("promoted", "Copies to the GPU of what lay in host memory."),
    "gshare_store_demotions": ("demoted", "Copies on the GPU given up for those in host memory."),
    "gshare_store_evictions": ("evicted", "Weights given up for others, or for a smaller budget."),
    "gshare_store_refusals": ("full", "Requests that found no memory."),
}
SECONDS: Final = {
    "gshare_store_read_seconds": ("read_s", "Time taken to check what was offered."),
    "gshare_store_read_bytes": ("read_bytes", "Bytes of what was offered and checked."),
    "gshare_store_copy_seconds": ("copy_s", "Time taken to copy weights to the GPU."),
    "gshare_store_copy_bytes": ("copy_bytes", "Bytes of weights copied to the GPU."),
}
USED: Final = "gshare_store_used_bytes"
CLIENTS: Final = "gshare_store_clients"
_TIERS: Final = {Tier.DEVICE: "gpu", Tier.HOST: "host"}


@dataclass(slots=True)
class Timings:
    """What took long since the store started, and how much it was. Written by the loop alone."""

    read_s: float = 0.0
    read_bytes: int = 0
    copy_s: float = 0.0
    copy_bytes: int = 0


class StoreCollector:
    """Reads the store's books whenever Prometheus asks; `gpu` labels every figure."""

    def __init__(
        self, gpu: str, catalogue: Catalogue, timings: Timings, clients: Callable[[], int]
    ) -> None:
        self._gpu = gpu
        self._catalogue = catalogue
        self._timings = timings
        self._clients = clients

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from self._counters(COUNTERS, self._catalogue.counts)
        yield from self._counters(SECONDS, self._timings)
        used = GaugeMetricFamily(USED, "Memory that weights take.", labels=["gpu", "tier"])
        for tier, name in _TIERS.items():
            used.add_metric([self._gpu, name], self._catalogue.used_bytes(tier))
        yield used
        clients = GaugeMetricFamily(CLIENTS, "Connections of clients.", labels=["gpu"])
        clients.add_metric([self._gpu], self._clients())
        yield clients

    def _counters(
        self, table: dict[str, tuple[str, str]], values: Counts | Timings
    ) -> Iterable[Metric]:
        for name, (field, text) in table.items():
            counter = CounterMetricFamily(name, text, labels=["gpu"])
            counter.add_metric([self._gpu], getattr(values, field))
            yield counter


def registry(collector: StoreCollector) -> CollectorRegistry:
    """Return a registry with the store's figures alone."""
    made = CollectorRegistry()
    made.register(collector)
    return made
