"""Reads a cluster for `ps`, `map` and `explain`: lists, one pod, its events, agents' metrics."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer, Node, Pod, list_all, read
from gshare.runtime.kube.objects import Event

from . import cluster_metrics
from .cluster_metrics import Got, PodKey, Reading
from .cluster_state import ClusterView, cluster_view

MEASURED_S: Final = 1.0
_METRICS_TIMEOUT_S: Final = 3.0
_AT_ONCE: Final = 8
_NOT_OVER: Final = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
_ALLOWING: Final = "ask for the ClusterRole gshare-viewer, or for these verbs"


class ForbiddenError(GshareError):
    """The cluster does not let this user read something."""


@contextlib.contextmanager
def asking(api: ApiServer) -> Iterator[None]:
    """Turn the API's errors into lines that say what to do."""
    try:
        yield
    except ApiError as error:
        raise _clear(api, error) from error


def _clear(api: ApiServer, error: ApiError) -> GshareError:
    cluster = f"cluster {api.context}" if api.context else "the cluster"
    said = str(error).partition(f": {error.status} ")[2] or str(error)
    if error.status == 0:
        return GshareError(f"{cluster} does not answer: {error}")
    if error.status == 401:
        return GshareError(f"{cluster} does not accept the credentials: log in again ({said})")
    if error.status == 403:
        return ForbiddenError(f"{cluster}: {said}: {_ALLOWING}")
    return GshareError(f"{cluster}: {error}")


def view(api: ApiServer, namespace: str | None = None) -> ClusterView:
    """Return the cluster's nodes, and the pods of one namespace or (None) of all."""
    with asking(api):
        return cluster_view(_nodes(api), _pods(api, namespace))


def view_of_pods(api: ApiServer, namespace: str | None) -> tuple[ClusterView, str]:
    """Return the same, without the nodes where this user may not list them; and why not."""
    with asking(api):
        pods = _pods(api, namespace)
    try:
        with asking(api):
            return cluster_view(_nodes(api), pods), ""
    except ForbiddenError as error:
        return cluster_view((), pods), str(error)


def pod(api: ApiServer, namespace: str, name: str) -> Pod:
    """Return one pod; GshareError where there is none of that name."""
    with asking(api):
        try:
            return read(api, f"/api/v1/namespaces/{namespace}/pods/{name}", Pod)
        except ApiError as error:
            if error.status != 404:
                raise
            raise GshareError(f"there is no pod {name!r} in the namespace {namespace!r}") from error


def events_of(api: ApiServer, about: Pod) -> list[Event]:
    """Return what was said of a pod; nothing where this user may not read events."""
    meta = about.metadata
    path = f"/apis/events.k8s.io/v1/namespaces/{meta.namespace}/events"
    try:
        found = list_all(api, path, Event, {"fieldSelector": f"regarding.name={meta.name}"})
    except ApiError:
        return []
    return [event for event in found.items if event.regarding.uid in {"", meta.uid}]


def delivered(api: ApiServer, nodes: Iterable[str], pods: Iterable[PodKey]) -> dict[PodKey, Got]:
    """Return what pods got over a second, as far as their nodes' agents can be asked."""
    agents = _agents(api, set(nodes))
    if not agents:
        return {}
    before = _reading(api, agents)
    time.sleep(MEASURED_S)
    after = _reading(api, agents)
    return {key: cluster_metrics.got(before, after, key) for key in pods}


def _nodes(api: ApiServer) -> list[Node]:
    return list_all(api, "/api/v1/nodes", Node).items


def _pods(api: ApiServer, namespace: str | None) -> list[Pod]:
    path = "/api/v1/pods" if namespace is None else f"/api/v1/namespaces/{namespace}/pods"
    return list_all(api, path, Pod, _NOT_OVER).items


def _agents(api: ApiServer, nodes: set[str]) -> list[str]:
    """Return the paths of the metrics of the agents on `nodes`."""
    folder = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
    try:
        pods = list_all(api, folder, Pod).items if nodes else []
    except ApiError:
        return []
    return [
        f"{folder}/{each.metadata.name}:{names.PORT_NODE_AGENT_METRICS}/proxy/metrics"
        for each in pods
        if each.metadata.name.startswith(names.PART_NODE_AGENT)
        and each.status.phase == "Running"
        and each.spec.node_name in nodes
    ]


def _reading(api: ApiServer, agents: list[str]) -> Reading:
    """Return the counters of all agents that answer with metrics."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pages = pool.map(lambda path: _page(api, path), agents)
    return cluster_metrics.parse(page for page in pages if page)


def _page(api: ApiServer, path: str) -> str:
    try:
        page = api.get(path, timeout_s=_METRICS_TIMEOUT_S).decode()
        cluster_metrics.parse([page])
    except (ApiError, ValueError):
        return ""
    return page
