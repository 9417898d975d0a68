"""Reads pods' metrics through the API server's pod proxy.

So nothing but the API server has to be reachable from here; the user needs `get` on `pods/proxy`
in gshare's namespace.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gshare import names
from gshare.runtime.kube import ApiError, ApiServer, Pod, list_all

from . import cluster_metrics
from .usage import Snapshot

_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 16


def agents(api: ApiServer, nodes: Collection[str] | None = None) -> list[str]:
    """Return the node agents' pods, on `nodes` or on all; none where they cannot be listed."""
    path = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
    try:
        found = list_all(api, path, Pod).items
    except ApiError:
        return []
    return [
        each.metadata.name
        for each in found
        if each.metadata.name.startswith(names.PART_NODE_AGENT)
        and each.status.phase == "Running"
        and (nodes is None or each.spec.node_name in nodes)
    ]


def snapshot(api: ApiServer, of: Sequence[str]) -> Snapshot:
    """Return the counters of the GPUs of the agents `of`; one that does not answer is left out."""
    if not of:
        return Snapshot(())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda agent: _counters(api, agent), of)
        return Snapshot(tuple(gpu for counters in found for gpu in counters.gpus))


def pod_metrics(api: ApiServer, namespace: str, pod: str, port: int) -> str | None:
    """Return a pod's page of metrics, None where it cannot be had."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"
    try:
        return api.get(path, timeout_s=_TIMEOUT_S).decode(errors="replace")
    except ApiError:
        return None


def _counters(api: ApiServer, agent: str) -> Snapshot:
    """Return what one agent's metrics say; nothing where they cannot be had or read."""
    page = pod_metrics(api, names.NAMESPACE, agent, names.PORT_NODE_AGENT_METRICS)
    try:
        return cluster_metrics.parse([page or ""])
    except ValueError:
        return Snapshot(())
