"""Everything that the extender writes to the API server, but for events. Safe to repeat, all of it.

A binding names the pod's UID, so that it binds that pod or none, and only once. An eviction names
the UID as well. A touch writes the time.
"""

import time
from typing import Final

import msgspec

from gshare import names
from gshare.annotations import encode_placement
from gshare.ledger import PlacedPod
from gshare.preemption import Budget
from gshare.runtime.kube import ApiServer
from gshare.runtime.kube.listing import list_all
from gshare.runtime.kube.objects import Pod

from .budgets import PodDisruptionBudget
from .claims import Claim

BUDGETS_PATH: Final = "/apis/policy/v1/poddisruptionbudgets"


class Writer:
    """Speaks to the API server for the extender. Any thread may call; ApiError where it fails."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def read_pod(self, namespace: str, name: str, timeout_s: float) -> Pod:
        """Return the pod as the API server has it."""
        content = self._api.get(_path(namespace, name), timeout_s=timeout_s)
        return msgspec.json.decode(content, type=Pod)

    def bind(self, namespace: str, name: str, claim: Claim, mode: str, timeout_s: float) -> None:
        """Bind a pod and write its placement, which was made in `mode`, in one step."""
        placement = encode_placement(claim.placement, mode)
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": claim.uid,
                "annotations": {names.ANNOTATION_PLACEMENT: placement},
            },
            "target": {"apiVersion": "v1", "kind": "Node", "name": claim.node},
        }
        self._api.post(f"{_path(namespace, name)}/binding", body, timeout_s=timeout_s)

    def bind_without_gpu(self, namespace: str, name: str, uid: str, node: str) -> None:
        """Bind a pod that asks nothing of us."""
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._api.post(f"{_path(namespace, name)}/binding", body)

    def touch(self, node: str) -> None:
        """Change an annotation of `node`, so that schedulers try again what they refused."""
        annotations = {names.ANNOTATION_FREED: str(time.time_ns())}
        self._api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": annotations}})

    def budgets(self) -> list[Budget]:
        """Return the PodDisruptionBudgets of all namespaces that are about any pod."""
        listed = list_all(self._api, BUDGETS_PATH, PodDisruptionBudget).items
        return [each.budget for each in listed if each.spec.selector is not None]

    def evict(self, pod: PlacedPod, *, is_trial: bool) -> None:
        """Evict a pod, or ask whether that would be allowed.

        ApiError with status 429 where a budget refuses, 404 or 409 where the pod is gone.
        """
        body: dict[str, object] = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        path = f"{_path(pod.namespace, pod.name)}/eviction"
        self._api.post(path, body, {"dryRun": "All"} if is_trial else None)


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"
