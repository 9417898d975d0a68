"""The Services of a session: the replicas behind each port, and the balancer before them."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gshare.workload import Service, ServicePort

from .balancer import Balancer
from .ports import FIRST_UNPRIVILEGED
from .replica import Replica
from .views import ServiceView


@dataclass(frozen=True, slots=True)
class _Open:
    """One port of a Service that listens."""

    service: Service
    port: ServicePort
    local_port: int
    balancer: Balancer


class LocalServices:
    """Opens a local port for each port of a Service, balancing over the ready ones of `replicas`.

    `replicas` is the session's own list, read anew for each connection.
    """

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._open: list[_Open] = []

    async def open(self, service: Service) -> None:
        """Listen for a Service: on its own port where that is free and needs no privilege."""
        for port in service.ports:
            balancer = Balancer(functools.partial(self._targets, service, port))
            wanted = port.port if port.port >= FIRST_UNPRIVILEGED else 0
            local_port = await balancer.listen(wanted)
            self._open.append(_Open(service, port, local_port, balancer))

    def views(self) -> tuple[ServiceView, ...]:
        """Return every port as it is now."""
        return tuple(
            ServiceView(
                name=each.service.name,
                port=each.port.port,
                local_port=each.local_port,
                ready_replicas=len(self._targets(each.service, each.port)),
            )
            for each in self._open
        )

    async def drain(self, grace_s: float) -> None:
        """Accept nothing more, and close what is still open after `grace_s`."""
        while self._open:
            await self._open.pop().balancer.drain(grace_s)

    def _targets(self, service: Service, port: ServicePort) -> Mapping[str, int]:
        """Return the local ports of the ready replicas behind a port."""
        found: dict[str, int] = {}
        for replica in self._replicas:
            if not (replica.is_ready and replica.seat and service.selects(replica.function)):
                continue
            target = port.target_on(replica.function.container)
            if target is not None:
                found[replica.name] = replica.seat.local_ports.get(target, target)
        return found
