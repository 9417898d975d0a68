"""A namespace in which one test creates, watches and removes what it needs."""

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from tests.cluster.harness import Cluster, ClusterError, wait
from tests.cluster.harness.api import ApiStatusError

from gshare import names, wire
from gshare.annotations import PodPlacement, decode_placement

from . import workloads
from .workloads import Object

PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.1
_GROUPS: Final = {
    "Pod": "/api/v1",
    "Deployment": "/apis/apps/v1",
    "ReplicaSet": "/apis/apps/v1",
    "PodDisruptionBudget": "/apis/policy/v1",
}
T = TypeVar("T")
_WIPE: Final = {"propagationPolicy": "Background", "gracePeriodSeconds": 1}


@dataclass(frozen=True, slots=True)
class Sight:
    """What a program said first: its limits page, environment and ld.so.preload."""

    limits: wire.Limits
    env: dict[str, str]
    preload: str


class Scene:
    """One namespace of the cluster, empty at first."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.namespace = namespace
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        with contextlib.suppress(ApiStatusError):
            self.api.post("/api/v1/namespaces", body)
        until(self._has_account, f"namespace {namespace} is ready")

    def path(self, kind: str, name: str = "", part: str = "") -> str:
        """Return the API's path of an object of this namespace, or of all of its kind."""
        folder = f"{_GROUPS[kind]}/namespaces/{self.namespace}/{kind.lower()}s"
        return folder + (f"/{name}" if name else "") + (f"/{part}" if part else "")

    def create(self, *objects: Object) -> None:
        """Create objects in this order."""
        for each in objects:
            self.api.post(self.path(each["kind"]), each)

    def scale(self, name: str, replicas: int) -> None:
        """Set the number of a Deployment's replicas."""
        self.api.patch(self.path("Deployment", name), {"spec": {"replicas": replicas}})

    def annotate(self, pod: str, key: str, value: str) -> None:
        """Set one of a pod's annotations."""
        self.api.patch(self.path("Pod", pod), {"metadata": {"annotations": {key: value}}})

    def delete(self, kind: str, name: str, grace_s: int | None = None) -> None:
        """Delete an object as a user does; `grace_s` None leaves the pod's own."""
        options: Object = {"propagationPolicy": "Background"}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        self.api.delete(self.path(kind, name), options)

    def pods(self, name: str = "") -> list[Object]:
        """Return the pods with a label name, or all."""
        selector = quote(f"{workloads.LABEL}={name}") if name else ""
        found = self.api.items(self.path("Pod") + f"?labelSelector={selector}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def deployments(self) -> int:
        """Return how many Deployments there are."""
        return len(self.api.items(self.path("Deployment")))

    def pod(self, name: str) -> Object:
        """Return one pod."""
        return self.api.get(self.path("Pod", name))

    def wait_running(
        self, count: int, name: str = "", timeout_s: float = PATIENCE_S
    ) -> list[Object]:
        """Return the pods when exactly `count` of them, and no others, run and are not ending."""

        def runs() -> list[Object]:
            found = self.pods(name)
            if len(found) == count and all(is_running(pod) for pod in found):
                return found
            raise LookupError("; ".join(map(described, found)) or "there are no pods")

        return until(runs, f"{count} pods {name} run", timeout_s)

    def wait_gone(self, *pods: str, timeout_s: float = PATIENCE_S) -> None:
        """Return when none of `pods` is there any more; when no pod is, if none is named."""
        until(lambda: not self._left(pods), f"pods {pods or 'of all names'} are gone", timeout_s)

    def lines(self, pod: str, *, previous: bool = False) -> list[dict[str, Any]]:
        """Return what a pod's program has said."""
        part = "log?container=server" + ("&previous=true" if previous else "")
        said = self.api.text(self.path("Pod", pod, part))
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def sight(self, pod: str) -> Sight:
        """Return what a pod's program saw of its lease."""
        (first, *_) = until(lambda: self.lines(pod), f"{pod} says something")
        return Sight(
            wire.unpack_limits(bytes.fromhex(first["page"])), first["env"], first["preload"]
        )

    def wait_launching(self, pods: Iterable[str]) -> None:
        """Return when the program of each of `pods` has launched a kernel."""
        for pod in pods:
            until(
                lambda pod=pod: {"launching": True} in self.lines(pod),  # type: ignore[misc]
                f"{pod} launches",
            )

    def events(self, pod: str) -> list[tuple[str, str]]:
        """Return (reason, note) of the events about a pod, oldest first."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        found = [
            each for each in self.api.items(path) if each.get("regarding", {}).get("name") == pod
        ]
        found.sort(key=lambda each: str(each["metadata"]["creationTimestamp"]))
        return [(each.get("reason", ""), each.get("note", "")) for each in found]

    def wait_event(self, pod: str, reason: str, *texts: str, timeout_s: float = 20.0) -> str:
        """Return the note of an event about `pod` that says all of `texts`."""

        def note() -> str:
            found = self.events(pod)
            for seen, said in found:
                if seen == reason and all(text in said for text in texts):
                    return said
            raise LookupError(f"events of {pod}: {found}")

        return until(note, f"{pod} has an event {reason} with {texts}", timeout_s)

    def wipe(self) -> None:
        """Remove all that was created here, and wait until no pod is left."""

        def is_empty() -> bool:
            for kind in ("Deployment", "ReplicaSet", "Pod", "PodDisruptionBudget"):
                self.api.delete(self.path(kind), _WIPE)
            return not self.pods()

        until(is_empty, f"{self.namespace} is empty", poll_s=0.3)

    def _left(self, pods: tuple[str, ...]) -> list[Object]:
        return [pod for pod in self.pods() if not pods or name_of(pod) in pods]

    def _has_account(self) -> bool:
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        return bool(self.api.get(account))


def until(
    claim: Callable[[], T], what: str, timeout_s: float = PATIENCE_S, poll_s: float = _POLL_S
) -> T:
    """Return the first true value of `claim`; fail the test after `timeout_s` with its last error.

    An API server that is away or refuses counts as "not yet".
    """
    try:
        return wait(claim, timeout_s, what, poll_s)
    except ClusterError as error:
        raise AssertionError(str(error)) from error


def name_of(pod: Object) -> str:
    """Return a pod's name."""
    return str(pod["metadata"]["name"])


def uid_of(pod: Object) -> str:
    """Return a pod's UID."""
    return str(pod["metadata"]["uid"])


def node_of(pod: Object) -> str:
    """Return the name of the node that a pod is bound to; empty if to none."""
    return str(pod["spec"].get("nodeName", ""))


def placement_of(pod: Object) -> PodPlacement | None:
    """Return where a pod was put; None while it is not."""
    meta = pod["metadata"]
    written = meta.get("annotations", {}).get(names.ANNOTATION_PLACEMENT)
    return None if written is None else decode_placement(written, meta["namespace"])


def is_running(pod: Object) -> bool:
    """Tell whether all containers of a pod run and nobody has deleted it."""
    statuses = pod["status"].get("containerStatuses", ())
    return (
        "deletionTimestamp" not in pod["metadata"]
        and pod["status"].get("phase") == "Running"
        and len(statuses) == len(pod["spec"]["containers"])
        and all("running" in each["state"] for each in statuses)
    )


def is_ready(pod: Object) -> bool:
    """Tell whether a pod's probes say that it serves."""
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_over(pod: Object) -> bool:
    """Tell whether a pod has ended for good."""
    return pod["status"].get("phase") in {"Succeeded", "Failed"}


def described(pod: Object) -> str:
    """Return a pod's state in one line, for messages."""
    status = pod["status"]
    states = [each["state"] for each in status.get("containerStatuses", ())]
    ending = " (ending)" if "deletionTimestamp" in pod["metadata"] else ""
    words = [status.get("reason", ""), status.get("message", ""), *map(str, states)]
    return f"{name_of(pod)}{ending}: {status.get('phase')} {' '.join(filter(None, words))}"


def container_of(pod: Object) -> tuple[str, int]:
    """Return the id and the restart count of the pod's GPU container."""
    for each in pod["status"].get("containerStatuses", ()):
        if each["name"] == "server":
            return str(each["containerID"]), int(each["restartCount"])
    raise LookupError(f"{name_of(pod)} has no container yet")
