"""The objects of a trial on a cluster: the Job of its replica, the pod of its load. Pure.

Neither carries the function's labels: no Service sends requests to a trial, and nothing counts it
as a replica.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gshare import names
from gshare.workload import Function, Shape

Object = dict[str, Any]

LABEL_TRIAL: Final = f"{names.DOMAIN}/trial"
"""On all objects of a trial: the name of its Job."""
_LONGEST_NAME: Final = 57
"""A pod's name is its Job's and six letters, and a label holds 63."""
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_KEEP_S: Final = 60
_HOSTNAME: Final = "kubernetes.io/hostname"


def job_name(function: str, sm_percent: int, quota_percent: int) -> str:
    """Return the name of a trial's Job: the same one each time, so that a left one is found."""
    suffix = f"-trial-{sm_percent}-{quota_percent}"
    plain = _NOT_IN_NAMES.sub("-", function.lower()).strip("-")
    return plain[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix


def job(
    body: Mapping[str, Any], function: Function, shape: Shape, nodes: Sequence[str], most_s: int
) -> Object:
    """Return the Job that runs one replica of the Deployment `body`, at most for `most_s` seconds.

    It asks for all memory of a GPU (`shape.memory_bytes`), so that nothing else is put there.
    """
    name = job_name(function.name, shape.sm_percent, shape.quota_request_percent)
    template = copy.deepcopy(dict(body["spec"]["template"]))
    spec = template["spec"]
    spec |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5}
    _on_nodes(spec, nodes)
    for container in spec["containers"]:
        if container["name"] == function.container.name:
            _shape(container, function, shape)
    template["metadata"] = {
        "labels": {LABEL_TRIAL: name},
        "annotations": _annotations(template.get("metadata") or {}, shape),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {LABEL_TRIAL: name}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": most_s,
            "ttlSecondsAfterFinished": _KEEP_S,
            "template": template,
        },
    }


def load_pod(
    trial: Mapping[str, Any], image: str, arguments: Sequence[str], like: Object
) -> Object:
    """Return the pod that puts load on a trial; it goes with its Job `trial`.

    It runs near the replica where it can, and wherever the pod spec `like` is tolerated.
    """
    name = trial["metadata"]["name"]
    term = {
        "topologyKey": _HOSTNAME,
        "labelSelector": {"matchLabels": {LABEL_TRIAL: name}},
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(arguments),
        "resources": {"requests": {"cpu": "100m"}},
    }
    spec: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
        "containers": [container],
    }
    spec |= {key: like[key] for key in ("tolerations", "imagePullSecrets") if key in like}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": name,
        "uid": trial["metadata"]["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-load-",
            "labels": {f"{LABEL_TRIAL}-load": name},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _shape(container: Object, function: Function, shape: Shape) -> None:
    """Give the GPU container the shape of a trial, and a probe that is asked often."""
    resources = container.setdefault("resources", {})
    sides = {
        names.RESOURCE_SM: str(shape.sm_percent),
        names.RESOURCE_QUOTA: str(shape.quota_request_percent),
    }
    resources["limits"] = {**resources.get("limits", {}), **sides}
    resources["requests"] = {
        key: value
        for key, value in (resources.get("requests") or {}).items()
        if key not in names.RESOURCES
    }
    probe = container.get("readinessProbe") or _default_probe(function)
    container["readinessProbe"] = {**probe, "periodSeconds": 1}


def _default_probe(function: Function) -> Object:
    return {"tcpSocket": {"port": function.container.ports[0].number}}


def _annotations(metadata: Mapping[str, Any], shape: Shape) -> dict[str, str]:
    given = dict(metadata.get("annotations") or {})
    given.pop(names.ANNOTATION_QUOTA_REQUEST, None)
    return given | {
        names.ANNOTATION_QUOTA_LIMIT: str(shape.quota_limit_percent),
        names.ANNOTATION_GPU_MEM: str(shape.memory_bytes),
    }


def _on_nodes(spec: Object, nodes: Sequence[str]) -> None:
    """Keep the pod to `nodes`, beside what its own affinity says; anywhere where none is named."""
    if not nodes:
        return
    wanted = {"key": _HOSTNAME, "operator": "In", "values": list(nodes)}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms") or [{}]
    required["nodeSelectorTerms"] = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or []), wanted]}
        for term in terms
    ]
