"""Reads a cluster for `ps`, `map` and `explain`: lists, one pod, its events, agents' metrics."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Final

from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer, Node, Pod, list_all, read
from gshare.runtime.kube.objects import Event

from . import cluster_metrics, cluster_usage
from .cluster_metrics import Got, PodKey
from .cluster_state import ClusterView, cluster_view

MEASURED_S: Final = 1.0
NOT_OVER: Final = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
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


def find_pod(api: ApiServer, namespace: str, name: str) -> Pod | None:
    """Return one pod, None where there is none of that name."""
    with asking(api):
        try:
            return read(api, f"/api/v1/namespaces/{namespace}/pods/{name}", Pod)
        except ApiError as error:
            if error.status != 404:
                raise
            return None


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
    asked = set(nodes)
    agents = cluster_usage.agents(api, asked) if asked else []
    if not agents:
        return {}
    before = cluster_usage.snapshot(api, agents)
    time.sleep(MEASURED_S)
    after = cluster_usage.snapshot(api, agents)
    return {key: cluster_metrics.got(before, after, key) for key in pods}


def _nodes(api: ApiServer) -> list[Node]:
    return list_all(api, "/api/v1/nodes", Node).items


def _pods(api: ApiServer, namespace: str | None) -> list[Pod]:
    path = "/api/v1/pods" if namespace is None else f"/api/v1/namespaces/{namespace}/pods"
    return list_all(api, path, Pod, NOT_OVER).items
