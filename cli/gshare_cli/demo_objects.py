"""The demo's objects on a cluster: the paper's files, the pod that loads them, pods as replicas."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gshare import annotations, names
from gshare.rectangles import Rectangle
from gshare.runtime.kube import Pod, pod_json
from gshare.workload import documents, pods

from .views import ReplicaState, ReplicaView

NAMESPACE: Final = "gshare-demo"
LOAD: Final = "load"
SERVER_PORT: Final = 8080
_PATHS: Final = {"Deployment": "/apis/apps/v1/namespaces/{}/deployments"}


def deployments(source: str, text: str, scheduler: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Return the path and the body of each Deployment in a file, for the demo's namespace.

    Services are left out: the load goes to each pod by its address, evenly.
    """
    found = []
    for document in documents.load(source, text):
        if not isinstance(document, dict) or document.get("kind") not in _PATHS:
            continue
        document["metadata"]["namespace"] = NAMESPACE
        if scheduler:
            document["spec"]["template"]["spec"]["schedulerName"] = scheduler
        found.append((_PATHS[document["kind"]].format(NAMESPACE), document))
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
    asking = (pod for pod in found if pods.asked(pod_json(pod)) is not None)
    views = (_view(pod, gpus) for pod in asking if not pod.metadata.deletion_timestamp)
    return sorted(views, key=lambda view: view.name)


def _view(pod: Pod, gpus: Sequence[str]) -> ReplicaView:
    asked = pods.asked(pod_json(pod))
    assert asked is not None  # noqa: S101 (the caller has looked)
    placed = _placed(pod)
    uuid = placed.gpu_uuid if placed else None
    ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)
    return ReplicaView(
        name=pod.metadata.name,
        function=pod.metadata.labels.get(names.LABEL_FUNCTION, pod.metadata.name),
        lease_id=f"{pod.metadata.namespace}/{pod.metadata.name}",
        gpu_uuid=uuid,
        gpu_index=gpus.index(uuid) if uuid in gpus else None,
        rectangle=Rectangle(0, 0, placed.quota_percent, placed.sm_percent) if placed else None,
        sm_percent=asked.shape.sm_percent,
        quota_request_percent=asked.shape.quota_request_percent,
        quota_limit_percent=asked.shape.quota_limit_percent,
        memory_bytes=placed.memory_bytes if placed else 0,
        port=SERVER_PORT,
        pid=None,
        state=_state(pod, is_ready=ready),
        ready=ready,
        restarts=sum(each.restart_count for each in pod.status.container_statuses),
        message=pod.status.message,
    )


def _placed(pod: Pod) -> annotations.PodPlacement | None:
    text = pod.metadata.annotations.get(names.ANNOTATION_PLACEMENT)
    return annotations.decode_placement(text) if text else None


def _state(pod: Pod, *, is_ready: bool) -> ReplicaState:
    if is_ready:
        return ReplicaState.RUNNING
    if not pod.spec.node_name:
        return ReplicaState.PENDING
    return ReplicaState.FAILED if pod.status.phase == "Failed" else ReplicaState.STARTING
