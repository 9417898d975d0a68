"""Writes what stands beside a function's Deployments: its Service and its profile's ConfigMap."""

import re
from typing import Final

from gshare import names, profile
from gshare.profile import Profile
from gshare.workload.fields import Field

from .plain import Object
from .template import Template

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 63


def service(template: Template) -> Object | None:
    """Return a Service over all of the function's pods.

    None where the container declares no port, or a Service of the file picks the pods already.
    """
    if any(_picks(other, template) for other in template.others):
        return None
    containers = template.pod.at("spec", "containers").elements()
    ports = containers[template.container].child("ports").elements()
    if not ports:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(template.function, template.namespace, template.function),
        "spec": {
            "selector": {names.LABEL_FUNCTION: template.function},
            "ports": [_port(port, is_only=len(ports) == 1) for port in ports],
        },
    }


def config_map(found: Profile, namespace: str = "") -> Object:
    """Return the ConfigMap in which the autoscaler finds the profile of a function.

    It has one name for a function on one model of GPU, so that it replaces an older one.
    """
    plain = _NOT_IN_NAMES.sub("-", f"{found.function}-{found.gpu.model}-profile".lower())
    metadata = _metadata(plain[:_LONGEST_NAME].strip("-"), namespace, found.function)
    metadata["labels"][names.LABEL_PROFILE] = "true"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {names.KEY_PROFILE: profile.write(found)},
    }


def _metadata(name: str, namespace: str, function: str) -> Object:
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "labels": {names.LABEL_FUNCTION: function},
    }


def _picks(other: Object, template: Template) -> bool:
    """Tell whether `other` is a Service for the template's pods."""
    if other.get("kind") != "Service":
        return False
    found = Field(template.field.source, "Service", other)
    selector = found.at("spec", "selector").text_map()
    namespace = found.at("metadata", "namespace").text("")
    labels = template.pod_labels | {names.LABEL_FUNCTION: template.function}
    is_near = (namespace or "default") == (template.namespace or "default")
    return bool(selector) and is_near and selector.items() <= labels.items()


def _port(port: Field, *, is_only: bool) -> Object:
    """Return the Service's port for one of the container: 80 where there is no other."""
    number = port.child("containerPort").integer(0, 0, 65535)
    if not number:
        port.child("containerPort").refuse("must be from 1 to 65535")
    name = port.child("name").text("")
    protocol = port.child("protocol").text("")
    shown = name or ("" if is_only else f"port-{number}")
    return {
        **({"name": shown} if shown else {}),
        "port": 80 if is_only else number,
        "targetPort": name or number,
        **({"protocol": protocol} if protocol else {}),
    }
