"""Reads a v1 Service: its selector and its ports."""

from gshare.workload.fields import Field
from gshare.workload.values import Ignored, Service, ServicePort


def read(service: Field, name: str, namespace: str) -> Service | Ignored:
    """Return the Service, or why it has no effect here; InputError where a value is wrong."""
    spec = service.child("spec")
    selector = spec.child("selector").text_map()
    ports = tuple(_port(port) for port in spec.child("ports").elements())
    if not selector:
        return Ignored("Service", name, "has no selector")
    if not ports:
        spec.child("ports").refuse("must have a port")
    return Service(name, namespace, service.source, selector, ports)


def _port(port: Field) -> ServicePort:
    number = port.child("port")
    if number.is_absent:
        number.refuse("is missing")
    target = port.child("targetPort")
    return ServicePort(
        port=number.integer(0, 1, 65535),
        target_port=_target(target, number.integer(0, 1, 65535)),
        name=port.child("name").text(""),
        protocol=port.child("protocol").one_of(("TCP", "UDP", "SCTP"), "TCP"),
    )


def _target(target: Field, default: int) -> int | str:
    if isinstance(target.value, str):
        return target.text() or default
    return target.integer(default, 1, 65535)
