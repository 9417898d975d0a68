"""The kubelet's device plugin protocol for our two resources; protobuf is understood here alone.

Device IDs are counters: which ones the kubelet hands out means nothing, only how many. So both
resources offer plain numbers, all of them healthy while the node has a GPU (a sick GPU is the
extender's business, by the inventory), and `Allocate` answers without asking anybody: for the SM
resource the name of a CDI device, for the quota resource nothing. What can fail is done in
`PreStartContainer`, whose failure the kubelet shows in an event of the pod and tries again.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from gshare import names
from gshare.errors import GshareError

from . import lease
from .proto import deviceplugin_pb2 as messages
from .proto import deviceplugin_pb2_grpc

_HEALTHY: Final = "Healthy"
_CHECK_S: Final = 0.25

_log = logging.getLogger(__name__)


class Offer:
    """How many devices of a resource the node offers; whoever waits hears of changes."""

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._count = count

    @property
    def count(self) -> int:
        """Return how many there are now."""
        return self._count

    def set(self, count: int) -> None:
        """Offer another number."""
        with self._changed:
            if count != self._count:
                self._count = count
                self._changed.notify_all()

    def wait_other(self, than: int, timeout_s: float) -> int:
        """Wait until the number is another one, at most so long; return it as it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != than, timeout_s)
            return self._count


@dataclass(frozen=True, slots=True)
class Resource:
    """One extended resource: its name, what it offers, and what its two calls do.

    `devices` names CDI devices for a set of IDs; `start` raises GshareError where the container
    that has the IDs must not start now.
    """

    name: str
    offer: Offer
    devices: Callable[[Sequence[str]], tuple[str, ...]]
    start: Callable[[Sequence[str]], None]


def sm_resource(offer: Offer, start: Callable[[Sequence[str]], None]) -> Resource:
    """Return the resource that names the lease and makes it."""
    return Resource(names.RESOURCE_SM, offer, _lease_device, start)


def quota_resource(offer: Offer, start: Callable[[Sequence[str]], None]) -> Resource:
    """Return the resource that only counts, and checks that it does not come alone."""
    return Resource(names.RESOURCE_QUOTA, offer, lambda _: (), start)


class StartServicer(deviceplugin_pb2_grpc.DevicePluginServicer):
    """Serves starts of containers that have devices of one resource, and nothing else."""

    def __init__(self, resource: str, start: Callable[[Sequence[str]], None]) -> None:
        self._name = resource
        self._start = start

    def PreStartContainer(  # noqa: N802
        self, request: messages.PreStartContainerRequest, context: grpc.ServicerContext
    ) -> messages.PreStartContainerResponse:
        """Make ready what the container needs, or say in one line why it must not start now."""
        try:
            self._start(request.devices_ids)
        except GshareError as error:
            text = " ".join(str(error).split())
            _log.warning("event=start_refused resource=%s reason=%r", self._name, text)
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, text)
        except Exception as error:  # noqa: BLE001 (logged, and the kubelet tries again)
            _log.exception("event=start_failed resource=%s", self._name)
            text = f"gshare node agent: {type(error).__name__}: {error}"
            context.abort(grpc.StatusCode.INTERNAL, text)
        return messages.PreStartContainerResponse()


class ResourceServicer(StartServicer):
    """Serves one resource to the kubelet."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.name, resource.start)
        self._resource = resource
        self._streams = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()

    @property
    def is_watched(self) -> bool:
        """Tell whether the kubelet listens to what we offer."""
        return self._streams > 0

    def end(self) -> None:
        """Let the streams end."""
        self._ended.set()

    def GetDevicePluginOptions(  # noqa: N802 (the protocol's name)
        self, _request: messages.Empty, _context: grpc.ServicerContext
    ) -> messages.DevicePluginOptions:
        """Ask for PreStartContainer, and for no say in which IDs are taken."""
        return messages.DevicePluginOptions(pre_start_required=True)

    def ListAndWatch(  # noqa: N802
        self, _request: messages.Empty, context: grpc.ServicerContext
    ) -> Iterator[messages.ListAndWatchResponse]:
        """Send the whole list now, and again whenever its length changes."""
        with self._lock:
            self._streams += 1
        try:
            sent = -1
            while context.is_active() and not self._ended.is_set():
                count = self._resource.offer.wait_other(sent, _CHECK_S)
                if count != sent:
                    _log.info("event=offered resource=%s devices=%d", self._resource.name, count)
                    yield _list(count)
                    sent = count
        finally:
            with self._lock:
                self._streams -= 1

    def Allocate(  # noqa: N802
        self, request: messages.AllocateRequest, _context: grpc.ServicerContext
    ) -> messages.AllocateResponse:
        """Answer for each container from its device IDs alone."""
        return messages.AllocateResponse(
            container_responses=[
                messages.ContainerAllocateResponse(
                    cdi_devices=[
                        messages.CDIDevice(name=name)
                        for name in self._resource.devices(container.devices_ids)
                    ]
                )
                for container in request.container_requests
            ]
        )


def _lease_device(device_ids: Sequence[str]) -> tuple[str, ...]:
    return (f"{names.CDI_KIND}={lease.digest(device_ids)}",)


def _list(count: int) -> messages.ListAndWatchResponse:
    return messages.ListAndWatchResponse(
        devices=[messages.Device(ID=str(number), health=_HEALTHY) for number in range(count)]
    )
