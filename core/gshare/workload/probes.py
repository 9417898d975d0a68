"""Reads readiness probes: httpGet, tcpSocket and exec, with the defaults of Kubernetes."""

from typing import Final

from gshare.workload.fields import Field
from gshare.workload.values import ContainerPort, Exec, HttpGet, Probe, Scheme, TcpSocket

_ACTIONS: Final = ("httpGet", "tcpSocket", "exec")
_SCHEMES: Final[tuple[Scheme, ...]] = ("HTTP", "HTTPS")


def read(probe: Field, ports: tuple[ContainerPort, ...]) -> Probe | None:
    """Return the probe with its port names resolved, or None where it is absent."""
    if probe.is_absent:
        return None
    return Probe(
        _action(probe, ports),
        initial_delay_seconds=probe.child("initialDelaySeconds").integer(0, 0),
        period_seconds=probe.child("periodSeconds").integer(10, 1),
        timeout_seconds=probe.child("timeoutSeconds").integer(1, 1),
        success_threshold=probe.child("successThreshold").integer(1, 1),
        failure_threshold=probe.child("failureThreshold").integer(3, 1),
    )


def _action(probe: Field, ports: tuple[ContainerPort, ...]) -> HttpGet | TcpSocket | Exec:
    present = [name for name in _ACTIONS if not probe.child(name).is_absent]
    if len(present) != 1:
        probe.refuse(f"must have exactly one of {', '.join(_ACTIONS)}")
    action = probe.child(present[0])
    if present == ["exec"]:
        command = action.child("command")
        if not command.texts():
            command.refuse("must name a command")
        return Exec(command.texts())
    port = port_of(action.child("port"), ports)
    host = action.child("host").text("")
    if present == ["tcpSocket"]:
        return TcpSocket(port, host)
    return HttpGet(
        path=action.child("path").text("/"),
        port=port,
        scheme=action.child("scheme").one_of(_SCHEMES, "HTTP"),
        host=host,
        headers=tuple(
            (header.child("name").text(), header.child("value").text())
            for header in action.child("httpHeaders").elements()
        ),
    )


def port_of(field: Field, ports: tuple[ContainerPort, ...]) -> int:
    """Return the port number that `field` says, or that the port it names has."""
    if field.is_absent:
        field.refuse("is missing")
    if not isinstance(field.value, str):
        return field.integer(0, 1, 65535)
    for port in ports:
        if port.name == field.value:
            return port.number
    return field.refuse("is the name of no port of this container (a number stands without quotes)")
