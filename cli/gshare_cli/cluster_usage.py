"""What pods got of their GPUs, as the node agents' metrics say, read through the API server.

An agent's metrics are reached by the pod proxy, so nothing but the API server has to be reachable
from here; the user needs `get` on `pods/proxy` in gshare's namespace.
"""

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prometheus_client import parser
from prometheus_client.samples import Sample

from gshare import names
from gshare.runtime.kube import ApiError, ApiServer, Pod, list_all

from .usage import GpuCounters, LeaseCounters, Snapshot

_PODS: Final = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
_AGENTS: Final = f"app.kubernetes.io/name={names.PART_NODE_AGENT}"
_NS: Final = 1_000_000_000
_READ_TIMEOUT_S: Final = 5.0


def snapshot(api: ApiServer) -> Snapshot:
    """Return the counters of all GPUs of all agents that answer; leases are "namespace/pod".

    ApiError where the agents cannot be listed. One that does not answer is left out.
    """
    agents = list_all(api, _PODS, Pod, {"labelSelector": _AGENTS}).items
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda pod: _metrics(api, pod.metadata.name), agents)
    return Snapshot(tuple(gpu for text in texts if text for gpu in gpus_of(text)))


def gpus_of(text: str) -> tuple[GpuCounters, ...]:
    """Return what one agent's metrics, in the text format of Prometheus, say of its GPUs."""
    samples = [each for family in _families(text) for each in family]
    gpus = {each.labels["gpu"] for each in samples if each.name == names.METRIC_GPU_CLOCK_SECONDS}
    return tuple(
        _gpu(uuid, [each for each in samples if each.labels.get("gpu") == uuid])
        for uuid in sorted(gpus)
    )


def pod_metrics(api: ApiServer, namespace: str, pod: str, port: int) -> str | None:
    """Return the metrics of a pod through the pod proxy, None where they cannot be had."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"
    with contextlib.suppress(ApiError):
        return api.get(path, timeout_s=_READ_TIMEOUT_S).decode(errors="replace")
    return None


def _metrics(api: ApiServer, agent: str) -> str | None:
    return pod_metrics(api, names.NAMESPACE, agent, names.PORT_NODE_AGENT_METRICS)


def _families(text: str) -> Iterable[list[Sample]]:
    for family in parser.text_string_to_metric_families(text):
        yield family.samples


def _gpu(uuid: str, samples: list[Sample]) -> GpuCounters:
    def value(name: str) -> float:
        return next((each.value for each in samples if each.name == name), 0.0)

    clock = next(each for each in samples if each.name == names.METRIC_GPU_CLOCK_SECONDS)
    return GpuCounters(
        uuid=uuid,
        name=clock.labels.get("model", ""),
        sm_count=int(value(names.METRIC_GPU_SM_COUNT)) or 1,
        now_ns=round(clock.value * _NS),
        busy_ns=round(value(names.METRIC_GPU_BUSY_SECONDS) * _NS),
        sm_time_ns=round(value(names.METRIC_GPU_SM_SECONDS) * _NS),
        max_concurrent_sm_percent=round(100 * value(names.METRIC_GPU_MAX_CONCURRENT_SM)),
        leases=tuple(_leases(samples)),
    )


def _leases(samples: list[Sample]) -> Iterable[LeaseCounters]:
    memory = {
        _pod(each): int(each.value)
        for each in samples
        if each.name == names.METRIC_LEASE_MEMORY_BYTES
    }
    for each in samples:
        if each.name == names.METRIC_LEASE_GPU_SECONDS:
            yield LeaseCounters(_pod(each), round(each.value * _NS), memory.get(_pod(each), 0))


def _pod(sample: Sample) -> str:
    return f"{sample.labels['namespace']}/{sample.labels['pod']}"
