"""Reads the container of a pod that gets the rectangle, and names what has no effect here."""

import re
from typing import Final

from gshare.workload import probes
from gshare.workload.fields import Field
from gshare.workload.values import (
    Container,
    ContainerPort,
    FieldPath,
    Ignored,
    RestartPolicy,
    Variable,
)

_VARIABLE_NAME: Final = re.compile(r"[^=]+")
_FIELD_PATHS: Final[tuple[FieldPath, ...]] = ("metadata.name", "metadata.namespace")
_WITHOUT_EFFECT: Final = {
    "envFrom": "ConfigMaps and Secrets are not read",
    "lifecycle": "life cycle hooks are not run",
    "livenessProbe": "only the readiness probe is run",
    "startupProbe": "only the readiness probe is run",
    "volumeMounts": "volumes are not mounted",
}


def read(container: Field, restart_policy: RestartPolicy) -> Container:
    """Return the container; InputError where a value is wrong or it has no command."""
    command = container.child("command")
    if not command.texts():
        command.refuse("is missing: the image is not run here, so its command must be given")
    ports = tuple(_port(port) for port in container.child("ports").elements())
    return Container(
        name=container.child("name").name(),
        command=command.texts(),
        args=container.child("args").texts(),
        env=tuple(
            variable
            for entry in container.child("env").elements()
            if (variable := _variable(entry)) is not None
        ),
        working_dir=container.child("workingDir").text("") or None,
        ports=ports,
        readiness=probes.read(container.child("readinessProbe"), ports),
        restart_policy=restart_policy,
    )


def ignored_in(container: Field, owner: str) -> list[Ignored]:
    """Return what `container` of the Deployment `owner` says without effect here."""
    found = [
        Ignored(key, owner, reason)
        for key, reason in _WITHOUT_EFFECT.items()
        if not container.child(key).is_absent
    ]
    found.extend(
        Ignored("env", f"{owner} {entry.child('name').text()}", "its valueFrom is not known here")
        for entry in container.child("env").elements()
        if _variable(entry) is None
    )
    return found


def _variable(entry: Field) -> Variable | None:
    """Return one variable, or None where it comes from something that is not here."""
    name = entry.child("name").name()
    if _VARIABLE_NAME.fullmatch(name) is None:
        entry.child("name").refuse("must be the name of a variable, without '='")
    origin = entry.child("valueFrom")
    if origin.is_absent:
        return Variable(name, entry.child("value").text(""))
    if entry.child("value").text(""):
        origin.refuse("must not stand beside a value")
    field_path = origin.at("fieldRef", "fieldPath").text("")
    for known in _FIELD_PATHS:
        if field_path == known:
            return Variable(name, field_path=known)
    return None


def _port(port: Field) -> ContainerPort:
    number = port.child("containerPort")
    if number.is_absent:
        number.refuse("is missing")
    return ContainerPort(
        number.integer(0, 1, 65535),
        port.child("name").text(""),
        port.child("protocol").one_of(("TCP", "UDP", "SCTP"), "TCP"),
    )
