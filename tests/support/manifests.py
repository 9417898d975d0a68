"""Builders of Kubernetes objects: sane by default, so a test shows only what matters to it."""

import copy
from typing import Any

import yaml

from gshare import names

Object = dict[str, Any]
ABSENT = object()


def container(name: str = "server", **changes: object) -> Object:
    """Return a GPU container with a command and a 12 by 40 rectangle, changed by `changes`."""
    limits = {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40}
    return {"name": name, "command": ["serve"], "resources": {"limits": limits}, **changes}


def deployment(name: str = "resnet", *containers: Object, **annotations: str) -> Object:
    """Return a Deployment of `containers` (one GPU container if none is given).

    `annotations` are those of gshare on its pods: quota_limit, gpu_mem.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {
                    "labels": {"app": name},
                    "annotations": {
                        f"{names.DOMAIN}/{key.replace('_', '-')}": value
                        for key, value in annotations.items()
                    },
                },
                "spec": {"containers": list(containers) or [container()]},
            },
        },
    }


def service(name: str = "resnet", **spec: object) -> Object:
    """Return a Service on port 80 for the pods of the Deployment of the same name."""
    defaults = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": defaults | spec,
    }


def changed(document: Object, path: tuple[str | int, ...], value: object) -> Object:
    """Return `document` with `value` at `path`, or with nothing there if it is ABSENT."""
    result = copy.deepcopy(document)
    inner: Any = result
    for step in path[:-1]:
        inner = inner.setdefault(step, {}) if isinstance(step, str) else inner[step]
    if value is ABSENT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


def text(*documents: object) -> str:
    """Return `documents` as one file."""
    return yaml.safe_dump_all(documents)
