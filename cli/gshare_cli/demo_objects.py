"""The demo's objects on a cluster: the paper's files, the pod that loads them, pods as replicas."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gshare.rectangles import Rectangle
from gshare.runtime.kube import Pod
from gshare.workload import documents
from gshare.workload.values import Shape

from .cluster_state import PodView, pod_view
from .views import ReplicaState, ReplicaView

NAMESPACE: Final = "gshare-demo"
LOAD: Final = "load"
SERVER_PORT: Final = 8080
DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


def deployments(source: str, text: str, scheduler: str | None) -> list[dict[str, Any]]:
    """Return each Deployment in a file, for the demo's namespace.

    Services are left out: the load goes to each pod by its address, evenly.
    """
    found = []
    for document in documents.load(source, text):
        if not isinstance(document, dict) or document.get("kind") != "Deployment":
            continue
        document["metadata"]["namespace"] = NAMESPACE
        if scheduler:
            document["spec"]["template"]["spec"]["schedulerName"] = scheduler
        found.append(document)
    return found


def load_pod(image: str, targets: Mapping[str, str], users: int) -> dict[str, Any]:
    """Return the pod that keeps `users` requests open at each target (address by name)."""
    options = [
        word
        for name, address in targets.items()
        for word in ("--target", f"{name}=http://{address}:{SERVER_PORT}/infer,users={users}")
    ]
    container = {
        "name": LOAD,
        "image": image,
        "command": ["python3", "-m", "gshare_example_server.load", *options],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": LOAD, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


def replica_views(found: Iterable[Pod], gpus: Sequence[str]) -> list[ReplicaView]:
    """Return the demo's pods, by name; `gpus` are the UUIDs that get an index."""
    read = ((pod, pod_view(pod)) for pod in found if not pod.metadata.deletion_timestamp)
    views = (_view(pod, seen, seen.asked, gpus) for pod, seen in read if seen and seen.asked)
    return sorted(views, key=lambda view: view.name)


def _view(pod: Pod, seen: PodView, asked: Shape, gpus: Sequence[str]) -> ReplicaView:
    placed = seen.placed
    uuid = placed.gpu_uuid if placed else None
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    return ReplicaView(
        name=seen.name,
        function=seen.function,
        lease_id=seen.path,
        gpu_uuid=uuid,
        gpu_index=gpus.index(uuid) if uuid in gpus else None,
        pieces=(Rectangle(0, 0, placed.quota_percent, placed.sm_percent),) if placed else (),
        sm_percent=asked.sm_percent,
        quota_request_percent=asked.quota_request_percent,
        quota_limit_percent=asked.quota_limit_percent,
        memory_bytes=placed.memory_bytes if placed else 0,
        port=SERVER_PORT,
        pid=None,
        state=_state(seen, is_ready=ready),
        ready=ready,
        restarts=sum(each.restart_count for each in pod.status.container_statuses),
        message=pod.status.message,
    )


def _state(seen: PodView, *, is_ready: bool) -> ReplicaState:
    if is_ready:
        return ReplicaState.RUNNING
    return ReplicaState.STARTING if seen.node else ReplicaState.PENDING
