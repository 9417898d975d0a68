"""`gshare demo --cluster`: the paper's workload on the cluster of the current kubeconfig.

Everything lies in one namespace of its own, which is deleted at the end, whatever happens.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from gshare import names
from gshare.annotations import NodeGpu
from gshare.errors import GshareError
from gshare.runtime.kube import ApiError, ApiServer, Node, Pod, list_all
from gshare_extender import reading

from . import cluster_usage, demo_objects, usage
from .demo_count import Count
from .demo_objects import NAMESPACE
from .demo_result import ModeResult, replica_results
from .demo_run import USERS_PER_REPLICA, WARM_UP_S, Show
from .usage import Snapshot
from .views import ReplicaView

_NAMESPACES: Final = "/api/v1/namespaces"
_PODS: Final = f"{_NAMESPACES}/{NAMESPACE}/pods"
_READY_TIMEOUT_S: Final = 120.0
_GONE_TIMEOUT_S: Final = 120.0
_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What to run: the files' Deployments, measured for so long, placed by which scheduler."""

    files: Sequence[Path]
    seconds: float
    scheduler: str | None = None


def measure(api: ApiServer, plan: ClusterPlan, gpus: Sequence[NodeGpu], show: Show) -> ModeResult:
    """Run `plan` and return what was delivered; GshareError where it cannot run."""
    with _namespace(api):
        bodies = [
            each
            for file in plan.files
            for each in demo_objects.deployments(str(file), file.read_text(), plan.scheduler)
        ]
        for body in bodies:
            api.post(demo_objects.DEPLOYMENTS, body)
        wanted = sum(int(body["spec"].get("replicas", 1)) for body in bodies)
        views = _wait_ready(api, [gpu.uuid for gpu in gpus], wanted, show)
        image = bodies[0]["spec"]["template"]["spec"]["containers"][0]["image"]
        _start_load(api, image)
        return _measured(api, plan, views, show)


def gpus_of(api: ApiServer) -> list[NodeGpu]:
    """Return the cluster's GPUs; GshareError where it has none."""
    found = [
        gpu
        for node in list_all(api, "/api/v1/nodes", Node).items
        for gpu in reading.offer(node).inventory
    ]
    if not found:
        raise GshareError(
            f"{api.host}: no node has GPUs for gshare: apply manifests/ first, and see the pods "
            f"of namespace {names.NAMESPACE}"
        )
    return found


@contextlib.contextmanager
def _namespace(api: ApiServer) -> Iterator[None]:
    """Have the demo's namespace while the block runs; one that an earlier demo left goes first."""
    _delete_namespace(api)
    api.post(_NAMESPACES, {"metadata": {"name": NAMESPACE}})
    _wait(lambda: _has_service_account(api), _READY_TIMEOUT_S, "the namespace's service account")
    try:
        yield
    finally:
        _delete_namespace(api)


def _delete_namespace(api: ApiServer) -> None:
    def is_gone() -> bool:
        try:
            api.get(f"{_NAMESPACES}/{NAMESPACE}")
        except ApiError as error:
            return error.status == 404
        return False

    try:
        api.delete(f"{_NAMESPACES}/{NAMESPACE}")
    except ApiError as error:
        if error.status == 404:
            return
        raise
    _wait(is_gone, _GONE_TIMEOUT_S, f"namespace {NAMESPACE} to be gone")


def _has_service_account(api: ApiServer) -> bool:
    try:
        api.get(f"{_NAMESPACES}/{NAMESPACE}/serviceaccounts/default")
    except ApiError:
        return False
    return True


def _wait(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise GshareError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(_POLL_S)


def _views(api: ApiServer, gpus: Sequence[str]) -> list[ReplicaView]:
    return demo_objects.replica_views(list_all(api, _PODS, Pod).items, gpus)


def _wait_ready(api: ApiServer, gpus: Sequence[str], wanted: int, show: Show) -> list[ReplicaView]:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        views = _views(api, gpus)
        show("starting", views, {})
        if sum(view.ready for view in views) == wanted:
            return views
        if time.monotonic() > deadline:
            raise GshareError(_not_ready(views, wanted))
        time.sleep(_POLL_S)


def _not_ready(views: Sequence[ReplicaView], wanted: int) -> str:
    late = [f"{view.name} ({view.state.value})" for view in views if not view.ready]
    first = late[0].split()[0] if late else "POD"
    return (
        f"{sum(view.ready for view in views)} of {wanted} pods ready after "
        f"{_READY_TIMEOUT_S:.0f} s; not: {', '.join(late) or 'not made yet'}; "
        f"`kubectl gshare explain -n {NAMESPACE} {first}` says why"
    )


def _start_load(api: ApiServer, image: str) -> None:
    addresses = {
        pod.metadata.name: pod.status.pod_ip
        for pod in list_all(api, _PODS, Pod).items
        if pod.status.pod_ip
    }
    api.post(_PODS, demo_objects.load_pod(image, addresses, USERS_PER_REPLICA))
    _wait(lambda: _load_phase(api) == "Running", _READY_TIMEOUT_S, "the load to run")


def _load_phase(api: ApiServer) -> str:
    found = list_all(api, _PODS, Pod, {"fieldSelector": f"metadata.name={demo_objects.LOAD}"})
    return found.items[0].status.phase if found.items else ""


def _load_said(api: ApiServer) -> str:
    """Return the last line that the load printed."""
    try:
        text = api.get(f"{_PODS}/{demo_objects.LOAD}/log", {"tailLines": 5})
    except ApiError as error:
        return str(error)
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _measured(
    api: ApiServer, plan: ClusterPlan, views: list[ReplicaView], show: Show
) -> ModeResult:
    used_gpus = {view.gpu_uuid for view in views if view.gpu_uuid}
    start = _snapshot(api, used_gpus)
    _watch(api, "warming up", WARM_UP_S, views, start, show)
    psutil.cpu_percent()  # the next call tells the mean since this one
    before, counts_before = _snapshot(api, used_gpus), _counts(api, views)
    _watch(api, "measuring", plan.seconds, views, before, show)
    after, counts_after = _snapshot(api, used_gpus), _counts(api, views)
    host_busy_percent = psutil.cpu_percent()
    if _load_phase(api) != "Running":
        raise GshareError(f"the load ended before the measurement did: {_load_said(api)}")
    used = usage.between(before, after)
    rates = {name: counts_after[name].rate_since(counts_before[name]) for name in counts_after}
    replicas = replica_results(views, used, rates)
    return ModeResult("shared", plan.seconds, used, replicas, host_busy_percent)


def _snapshot(api: ApiServer, used_gpus: set[str]) -> Snapshot:
    whole = cluster_usage.snapshot(api, cluster_usage.agents(api))
    found = replace(whole, gpus=tuple(gpu for gpu in whole.gpus if gpu.uuid in used_gpus))
    missing = used_gpus - {gpu.uuid for gpu in found.gpus}
    if missing:
        raise GshareError(f"no node agent's metrics tell of GPU {', '.join(sorted(missing))}")
    return found


def _watch(
    api: ApiServer,
    phase: str,
    seconds: float,
    views: Sequence[ReplicaView],
    since: Snapshot,
    show: Show,
) -> None:
    """Let `seconds` pass and show what was delivered since `since`."""
    end = time.monotonic() + seconds
    used_gpus = {view.gpu_uuid for view in views if view.gpu_uuid}
    while (left := end - time.monotonic()) > 0:
        so_far = usage.between(since, _snapshot(api, used_gpus)).delivered_percent
        show(f"{phase}, {left:.0f} s to go", views, so_far)
        time.sleep(min(left, 2 * _POLL_S))


def _counts(api: ApiServer, views: Sequence[ReplicaView]) -> Mapping[str, Count]:
    counts = {}
    for view in views:
        text = cluster_usage.pod_metrics(api, NAMESPACE, view.name, demo_objects.SERVER_PORT)
        if text is None:
            raise GshareError(f"{view.name}: no metrics")
        counts[view.name] = Count.of(text)
    return counts
