"""Puts the autoscaler onto a cluster as a user does, and kills it as no user should."""

import json
from typing import Any, Final

import yaml
from tests.cluster import images
from tests.cluster.harness import Cluster
from tests.cluster.harness.settings import REPOSITORY

from gshare import names

from .prometheus import Prometheus
from .scene import is_running, name_of, node_of, until
from .workloads import Object

MANIFESTS: Final = REPOSITORY / "manifests" / "autoscaler"
_API: Final = "/apis/custom.metrics.k8s.io/v1beta2"
_COMPONENT: Final = "app.kubernetes.io/name"
_PODS: Final = f"/api/v1/namespaces/{names.NAMESPACE}/pods"

# A cluster scrapes every 15 to 30 s and its HPAs sync every 15 s; here it is 1 and 2 s, and all
# times that depend on them are as many times shorter.
FLAGS: Final = (
    "--interval=1",
    "--window=6s",
    "--lead=12",
    "--trend=15",
    "--scale-down-window=20",
    "--hold=120",
)


class Autoscaler:
    """The one autoscaler of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def deploy(self, prometheus: Prometheus, *flags: str) -> None:
        """Apply its manifests with our flags and `flags`, and return when its API answers."""
        self._cluster.import_image(images.build(("autoscaler",))["autoscaler"])
        rendered = self._cluster.kubectl("kustomize", str(MANIFESTS))
        objects = [_flagged(each, prometheus, flags) for each in yaml.safe_load_all(rendered)]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text)
        until(lambda: self._cluster.api.get(_API), "the custom metrics API answers")

    def pods(self) -> list[Object]:
        """Return its pods."""
        found = self._cluster.api.items(_PODS)
        return [
            pod
            for pod in found
            if pod["metadata"].get("labels", {}).get(_COMPONENT) == names.PART_AUTOSCALER
        ]

    def kill(self) -> None:
        """Kill its process in every pod, and return when new ones run; the kubelet starts them."""
        before = {_container(pod) for pod in self.pods()}
        for pod in self.pods():
            node = self._cluster.node(node_of(pod))
            node.ctr("tasks", "kill", "--signal", "SIGKILL", _container(pod))

        def is_back() -> bool:
            pods = self.pods()
            return all(map(is_running, pods)) and not before & set(map(_container, pods))

        until(is_back, "the autoscaler runs again")

    def log(self) -> str:
        """Return what it has said, for a test that fails."""
        paths = [f"{_PODS}/{name_of(pod)}/log?tailLines=200" for pod in self.pods()]
        return "\n".join(map(self._cluster.api.text, paths))


def _flagged(found: Object, prometheus: Prometheus, flags: tuple[str, ...]) -> Object:
    """Return an object; the autoscaler's Deployment with our flags after its own."""
    if found["kind"] == "Deployment":
        (container,) = found["spec"]["template"]["spec"]["containers"]
        own = container.get("args", [])
        container["args"] = [*own, f"--prometheus={prometheus.url}", *FLAGS, *flags]
    return found


def _container(pod: dict[str, Any]) -> str:
    (status,) = pod["status"]["containerStatuses"]
    return str(status["containerID"]).partition("//")[2]
