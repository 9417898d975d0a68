"""The node agent's metrics: read at each scrape from leases, token daemons and GPUs.

`_TABLE` is the one list of names and help texts; those that other parts of gshare read are in
gshare.names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gshare import names
from gshare.annotations import NodeGpu
from gshare.runtime import stores, tokend
from gshare.runtime.metering import Delivered, Reading
from gshare.runtime.tokend import Stats

from .door import Door
from .keeper import Keeper
from .lease import Lease
from .metering import Meter

_STATS_S: Final = 1.0
_NS: Final = 1e9
_LEASE: Final = ("namespace", "pod", "container", "gpu", "lease")
_GPU: Final = ("gpu", "model")

_Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily

_TABLE: Final = MappingProxyType(
    {
        names.METRIC_LEASE_GPU_SECONDS: ("GPU time that a lease got.", _LEASE),
        names.METRIC_LEASE_MEMORY_BYTES: ("Device memory that a lease holds.", _LEASE),
        names.METRIC_LEASE_SHARED_BYTES: ("Memory of others that a lease maps.", _LEASE),
        names.METRIC_LEASE_QUOTA_REQUEST: ("Share of the time that a lease is due.", _LEASE),
        names.METRIC_LEASE_QUOTA_LIMIT: ("Share of the time it may get at most.", _LEASE),
        "gshare_lease_sm_ratio": ("Share of the SMs that a lease may use.", _LEASE),
        "gshare_lease_memory_limit_bytes": ("Device memory that it may hold.", _LEASE),
        names.METRIC_GPU_CLOCK_SECONDS: ("The GPU's clock at this reading.", _GPU),
        names.METRIC_GPU_SM_COUNT: ("SMs of the GPU.", _GPU),
        names.METRIC_GPU_BUSY_SECONDS: ("Time in which anything ran.", _GPU),
        names.METRIC_GPU_SM_SECONDS: ("SMs in use, integrated over time.", _GPU),
        names.METRIC_GPU_MAX_CONCURRENT_SM: (
            "Largest sum of SM shares that held a token at once, since the daemon started.",
            _GPU,
        ),
        "gshare_gpu_healthy": ("1 where the GPU takes new functions.", _GPU),
        "gshare_gpu_memory_bytes": ("Device memory of the GPU.", _GPU),
        "gshare_gpu_leases": ("Leases on the GPU.", _GPU),
        "gshare_gpu_token_daemon_up": ("1 where its token daemon answers.", _GPU),
        "gshare_gpu_model_store_up": (
            "1 where its model store answers; only where one is to run.",
            _GPU,
        ),
        names.METRIC_STORE_BUDGET_BYTES: ("Device memory that its model store may use.", ("gpu",)),
        names.METRIC_STORE_RESIDENT_BYTES: (
            "Weights that a model store keeps on its GPU.",
            ("gpu", "name"),
        ),
        "gshare_starts_total": ("Starts of containers that were allowed.", ()),
        "gshare_starts_refused_total": ("Starts of containers refused, by reason.", ("reason",)),
        "gshare_kubelet_registered": ("1 where the kubelet knows the resource.", ("resource",)),
    }
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where figures come from."""

    gpus: Callable[[], Sequence[NodeGpu]]
    keeper: Keeper
    door: Door
    meter: Meter
    registered: Callable[[], Mapping[str, bool]]
    """Of each resource, whether the kubelet knows it."""


class NodeCollector(Collector):
    """Collects everything anew at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the table."""
        families = {name: _family(name) for name in _TABLE}
        held = self._sources.keeper.leases
        for gpu in self._sources.gpus():
            own = [each for each in held if each.gpu_uuid == gpu.uuid]
            stats = self._stats(gpu)
            reading = self._sources.meter.read(gpu, stats)
            _add_gpu(families, gpu, own, stats)
            if reading:
                _add_reading(families, gpu, reading)
            _add_leases(families, own, reading)
            _add_store(families, gpu, self._sources.keeper.gpu_folder(gpu.uuid))
        self._add_node(families)
        yield from families.values()

    def _stats(self, gpu: NodeGpu) -> Stats | None:
        folder = self._sources.keeper.gpu_folder(gpu.uuid)
        return tokend.Control(folder, timeout_s=_STATS_S).try_stats()

    def _add_node(self, families: dict[str, _Family]) -> None:
        counts = self._sources.door.counts
        _add(families, "gshare_starts_total", (), counts.allowed)
        for reason, count in counts.refused.items():
            _add(families, "gshare_starts_refused_total", (reason,), count)
        for resource, is_registered in self._sources.registered().items():
            _add(families, "gshare_kubelet_registered", (resource,), is_registered)


def _family(name: str) -> _Family:
    text, labels = _TABLE[name]
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, text, labels=labels)


def _add(families: dict[str, _Family], name: str, labels: Sequence[str], value: float) -> None:
    families[name].add_metric(labels, float(value))


def _add_gpu(
    families: dict[str, _Family], gpu: NodeGpu, held: Sequence[Lease], stats: Stats | None
) -> None:
    labels = (gpu.uuid, gpu.model)
    _add(families, names.METRIC_GPU_SM_COUNT, labels, gpu.sm_count)
    _add(families, "gshare_gpu_healthy", labels, gpu.is_healthy)
    _add(families, "gshare_gpu_memory_bytes", labels, gpu.memory_bytes)
    _add(families, "gshare_gpu_leases", labels, len(held))
    _add(families, "gshare_gpu_token_daemon_up", labels, stats is not None)
    if stats:
        share = stats.gpu.max_concurrent_sm_percent / 100
        _add(families, names.METRIC_GPU_MAX_CONCURRENT_SM, labels, share)


def _add_reading(families: dict[str, _Family], gpu: NodeGpu, reading: Reading) -> None:
    labels = (gpu.uuid, gpu.model)
    _add(families, names.METRIC_GPU_CLOCK_SECONDS, labels, reading.now_ns / _NS)
    _add(families, names.METRIC_GPU_BUSY_SECONDS, labels, reading.busy_ns / _NS)
    _add(families, names.METRIC_GPU_SM_SECONDS, labels, reading.sm_time_ns / _NS)


def _add_store(families: dict[str, _Family], gpu: NodeGpu, folder: Path) -> None:
    budget = stores.budget(folder)
    if budget is None:
        return
    is_up = stores.answers(folder, _STATS_S)
    _add(families, "gshare_gpu_model_store_up", (gpu.uuid, gpu.model), is_up)
    _add(families, names.METRIC_STORE_BUDGET_BYTES, (gpu.uuid,), budget.device_bytes)
    for name, size in stores.resident(folder).items():
        _add(families, names.METRIC_STORE_RESIDENT_BYTES, (gpu.uuid, name), size)


def _add_leases(
    families: dict[str, _Family], held: Sequence[Lease], reading: Reading | None
) -> None:
    for each in held:
        owner = each.owner
        labels = (owner.namespace, owner.pod, owner.container, each.gpu_uuid, each.lease_id)
        _add(families, names.METRIC_LEASE_QUOTA_REQUEST, labels, each.quota_request_percent / 100)
        _add(families, names.METRIC_LEASE_QUOTA_LIMIT, labels, each.quota_limit_percent / 100)
        _add(families, "gshare_lease_sm_ratio", labels, each.sm_percent / 100)
        _add(families, "gshare_lease_memory_limit_bytes", labels, each.memory_bytes)
        if reading:
            got = reading.leases.get(each.lease_id, Delivered())
            _add(families, names.METRIC_LEASE_GPU_SECONDS, labels, got.gpu_ns / _NS)
            _add(families, names.METRIC_LEASE_MEMORY_BYTES, labels, got.memory_bytes)
            if got.shared_bytes is not None:
                _add(families, names.METRIC_LEASE_SHARED_BYTES, labels, got.shared_bytes)
