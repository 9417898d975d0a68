"""Builders of pods and nodes as the API has them, and a scheduler's side of the conversation."""

import http.client
import json
from typing import Any

import msgspec

from gshare import names
from gshare.annotations import NodeGpu, PodPlacement, encode_inventory, encode_placement
from gshare.models import ModelShare
from gshare.runtime.kube import Node, Pod

GIB = 2**30
Object = dict[str, Any]


def gpu_pod(name: str = "p", sm: object = "12", quota: object = "40", **changes: Any) -> Object:
    """Return a pod of namespace "team" that asks for a rectangle; its UID is `uid-<name>`.

    `changes`: namespace, annotations, labels, priority, node, placement, phase, deleted, spec.
    """
    annotations = dict(changes.get("annotations", {}))
    if "placement" in changes:
        annotations[names.ANNOTATION_PLACEMENT] = encode_placement(changes["placement"])
    limits = {names.RESOURCE_SM: sm, names.RESOURCE_QUOTA: quota}
    limits = {resource: value for resource, value in limits.items() if value is not None}
    return {
        "metadata": {
            "name": name,
            "namespace": changes.get("namespace", "team"),
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-11-24T08:00:00Z",
            "annotations": annotations,
            "labels": changes.get("labels", {"app": name}),
            **({"deletionTimestamp": changes["deleted"]} if "deleted" in changes else {}),
        },
        "spec": {
            "containers": [{"name": "server", "resources": {"limits": limits}}],
            "priority": changes.get("priority", 0),
            **({"nodeName": changes["node"]} if "node" in changes else {}),
            **changes.get("spec", {}),
        },
        "status": {"phase": changes.get("phase", "Pending")},
    }


def placement(
    node: str = "a",
    sm: int = 12,
    quota: int = 40,
    memory: int = GIB,
    model: ModelShare | None = None,
) -> PodPlacement:
    """Return a placement on the GPU of `node`."""
    return PodPlacement(f"GPU-{node}", sm, quota, memory, model)


def gpu_node(name: str = "a", gpus: int = 1, units: int = 1600, **changes: Any) -> Object:
    """Return a node; its first GPU is `GPU-<name>`. `changes`: annotations, store_bytes."""
    store = changes.get("store_bytes")
    inventory = [
        NodeGpu(
            f"GPU-{name}{f'-{index}' * (index > 0)}", "Tesla V100", 80, 16 * GIB, store_bytes=store
        )
        for index in range(gpus)
    ]
    return {
        "metadata": {
            "name": name,
            "annotations": changes.get(
                "annotations", {names.ANNOTATION_GPUS: encode_inventory(inventory)}
            ),
        },
        "status": {
            "allocatable": {
                names.RESOURCE_SM: str(units * gpus),
                names.RESOURCE_QUOTA: str(units * gpus),
            }
        },
    }


def as_pod(body: Object) -> Pod:
    """Return the pod as the reflector gives it."""
    return msgspec.convert(body, Pod)


def as_node(body: Object) -> Node:
    """Return the node as the reflector gives it."""
    return msgspec.convert(body, Node)


class SchedulerSide:
    """Asks an extender as kube-scheduler does: one connection, kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, verb: str, body: object) -> tuple[int, bytes]:
        """Return status and body of an answer; `body` goes out as it is where it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request("POST", f"/{verb}", content, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def filter(self, pod: Object, nodes: list[str]) -> Object:
        """Return what filter answers."""
        return self._ask("filter", {"Pod": pod, "Nodes": None, "NodeNames": nodes})

    def prioritize(self, pod: Object, nodes: list[str]) -> dict[str, int]:
        """Return the scores by node."""
        answer = self._ask("prioritize", {"Pod": pod, "Nodes": None, "NodeNames": nodes})
        return {entry["Host"]: entry["Score"] for entry in answer}

    def preempt(self, pod: Object, victims: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return the nodes that remain of those proposed, each with its victims' UIDs."""
        proposed = {
            node: {"Pods": [{"UID": uid} for uid in uids], "NumPDBViolations": 0}
            for node, uids in victims.items()
        }
        args = {"Pod": pod, "NodeNameToVictims": None, "NodeNameToMetaVictims": proposed}
        kept = self._ask("preempt", args)["NodeNameToMetaVictims"]
        return {node: [pod["UID"] for pod in each["Pods"]] for node, each in kept.items()}

    def bind(self, pod: Object, node: str) -> str:
        """Return the error of a bind; empty where it succeeded."""
        meta = pod["metadata"]
        args = {
            "PodName": meta["name"],
            "PodNamespace": meta["namespace"],
            "PodUID": meta["uid"],
            "Node": node,
        }
        return str(self._ask("bind", args)["Error"])

    def _ask(self, verb: str, body: object) -> Any:
        status, content = self.post(verb, body)
        assert status == 200, content
        return json.loads(content)
