"""Builders of Pods and Deployments that ask for rectangles; a test says only what matters to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.cluster import images

from gshare import names

from . import programs

Object = dict[str, Any]

LABEL: Final = "gshare.test/name"
"""Has the name of the Deployment or pod on every pod."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a pod asks for and runs."""

    sm: int = 12
    quota: int = 40
    program: str = programs.BUSY
    arguments: tuple[object, ...] = ()
    cpu: str = "20m"
    """The request, which is a weight: without one a pod comes after everything else."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Those of gshare, without the domain: `quota_limit`, `gpu_mem`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the GPU container."""
    spec: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the pod's spec."""


# The paper's eight pods, 98.4 % of a GPU; memory that leaves room for all on 16 GiB.
PAPER: Final = {
    "bert": (2, Ask(50, 60, cpu="150m", annotations={"gpu_mem": "2440Mi"})),
    "rnnt": (2, Ask(24, 40, cpu="150m", annotations={"gpu_mem": "1560Mi"})),
    "resnet": (4, Ask(12, 40, cpu="150m", annotations={"gpu_mem": "1560Mi"})),
}


def pod(name: str, ask: Ask | None = None, **metadata: object) -> Object:
    """Return a pod; `metadata` is merged into its own."""
    template = _template(name, ask or Ask())
    template["metadata"] = {**template["metadata"], "name": name, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", **template}


def deployment(name: str, ask: Ask | None = None, replicas: int = 1, **spec: object) -> Object:
    """Return a Deployment; `spec` is merged into its own."""
    template = _template(name, ask or Ask())
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {LABEL: name}},
            "template": template,
            **spec,
        },
    }


def gpu_container(ask: Ask) -> Object:
    """Return the container that asks for the rectangle."""
    return {
        "name": "server",
        "image": images.reference("example-server"),
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", ask.program, *map(str, ask.arguments)],
        "env": [{"name": key, "value": value} for key, value in ask.env.items()],
        "resources": {
            "limits": {names.RESOURCE_SM: str(ask.sm), names.RESOURCE_QUOTA: str(ask.quota)},
            "requests": {"cpu": ask.cpu},
        },
        **ask.container,
    }


def _template(name: str, ask: Ask) -> Object:
    annotations = {
        f"{names.DOMAIN}/{key.replace('_', '-')}": value for key, value in ask.annotations.items()
    }
    return {
        "metadata": {"labels": {LABEL: name, **ask.labels}, "annotations": annotations},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "containers": [gpu_container(ask)],
            **ask.spec,
        },
    }
