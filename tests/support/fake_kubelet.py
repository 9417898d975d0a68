"""A FakeKubelet: Registration and PodResources over real gRPC, dialling back as the kubelet does.

The real kubelet is in the cluster tier. This one is driven by a test, call by call.
"""

import contextlib
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from gshare import names
from gshare_deviceplugin.proto import (
    deviceplugin_pb2,
    deviceplugin_pb2_grpc,
    podresources_pb2,
    podresources_pb2_grpc,
)

RESOURCES = (names.RESOURCE_SM, names.RESOURCE_QUOTA)
_DIAL_S = 10.0


@dataclass
class Endpoint:
    """A plugin's socket, and the devices that it offered last."""

    resource: str
    socket: Path
    channel: grpc.Channel
    stub: deviceplugin_pb2_grpc.DevicePluginStub
    options: deviceplugin_pb2.DevicePluginOptions
    devices: tuple[str, ...] = ()
    is_listening: bool = True


@dataclass
class Container:
    """A container that was admitted: its device IDs, and the CDI devices that Allocate named."""

    namespace: str
    pod: str
    name: str
    devices: dict[str, list[str]]
    cdi: list[str] = field(default_factory=list)


class FakeKubelet(
    deviceplugin_pb2_grpc.RegistrationServicer, podresources_pb2_grpc.PodResourcesListerServicer
):
    """Listens in a folder of its own while it is entered."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="fk-", dir="/tmp"))
        self.plugins = self.root / "device-plugins"
        self.pod_resources = self.root / "pod-resources" / "kubelet.sock"
        self.plugins.mkdir()
        self.pod_resources.parent.mkdir()
        self.endpoints: dict[str, Endpoint] = {}
        self.registrations: list[str] = []
        self.listed: list[Container] = []
        self.lists = 0
        self.refuses_lists = 0
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        """Listen."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and leave nothing."""
        self.stop()
        shutil.rmtree(self.root)

    def listen(self) -> None:
        """Empty the folder, as the kubelet does when it starts, and listen on new sockets."""
        for file in self.plugins.glob("*.sock"):
            file.unlink()
        self.pod_resources.unlink(missing_ok=True)
        server = grpc.server(futures.ThreadPoolExecutor(16))
        deviceplugin_pb2_grpc.add_RegistrationServicer_to_server(self, server)
        podresources_pb2_grpc.add_PodResourcesListerServicer_to_server(self, server)
        server.add_insecure_port(f"unix://{self.plugins}/kubelet.sock")
        server.add_insecure_port(f"unix://{self.pod_resources}")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Drop every connection."""
        server, self._server = self._server, None
        if server:
            server.stop(None).wait()
        for endpoint in self.endpoints.values():
            endpoint.channel.close()
        self.endpoints.clear()

    def restart(self) -> None:
        """Be another kubelet process; containers stay."""
        self.stop()
        self.listen()

    def wait_offered(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait until both resources offer `count` devices."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(
                    len(self.endpoints[each].devices) == count if each in self.endpoints else False
                    for each in RESOURCES
                ),
                timeout_s,
            ), {name: len(each.devices) for name, each in self.endpoints.items()}

    def admit(self, namespace: str, pod: str, sm: int, quota: int) -> Container:
        """Give a container random free devices and call Allocate, in random order."""
        container = Container(namespace, pod, "server", {})
        for resource, count in random.sample([*zip(RESOURCES, (sm, quota), strict=True)], 2):
            if not count:
                continue
            taken = {each for held in self.listed for each in held.devices.get(resource, ())}
            free = [each for each in self.endpoints[resource].devices if each not in taken]
            ids = random.sample(free, count)
            request = deviceplugin_pb2.AllocateRequest(
                container_requests=[deviceplugin_pb2.ContainerAllocateRequest(devices_ids=ids)]
            )
            answer = self.endpoints[resource].stub.Allocate(request, timeout=2)
            container.devices[resource] = ids
            container.cdi += [each.name for each in answer.container_responses[0].cdi_devices]
        self.listed.append(container)
        return container

    def start(self, container: Container) -> None:
        """Call PreStartContainer for each resource; grpc.RpcError where it is refused."""
        for resource, ids in random.sample([*container.devices.items()], len(container.devices)):
            shuffled = random.sample(ids, len(ids))
            request = deviceplugin_pb2.PreStartContainerRequest(devices_ids=shuffled)
            self.endpoints[resource].stub.PreStartContainer(request, timeout=30)

    def remove(self, container: Container) -> None:
        """Forget a container whose pod is over."""
        self.listed.remove(container)

    def Register(  # noqa: N802 (the protocol's name)
        self, request: deviceplugin_pb2.RegisterRequest, _context: grpc.ServicerContext
    ) -> deviceplugin_pb2.Empty:
        """Dial back before answering, as the kubelet does."""
        assert request.version == "v1beta1"
        assert "/" not in request.endpoint
        socket = self.plugins / request.endpoint
        channel = grpc.insecure_channel(
            f"unix://{socket}", options=[("grpc.default_authority", "localhost")]
        )
        stub = deviceplugin_pb2_grpc.DevicePluginStub(channel)
        options = stub.GetDevicePluginOptions(deviceplugin_pb2.Empty(), timeout=_DIAL_S)
        endpoint = Endpoint(request.resource_name, socket, channel, stub, options)
        with self._changed:
            self.endpoints[request.resource_name] = endpoint
            self.registrations.append(request.resource_name)
        threading.Thread(target=self._listen, args=(endpoint,), daemon=True).start()
        return deviceplugin_pb2.Empty()

    def List(  # noqa: N802
        self, _request: podresources_pb2.ListPodResourcesRequest, context: grpc.ServicerContext
    ) -> podresources_pb2.ListPodResourcesResponse:
        """Name every container that was admitted, its devices in two pieces."""
        self.lists += 1
        if self.refuses_lists > 0:
            self.refuses_lists -= 1
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")
        return podresources_pb2.ListPodResourcesResponse(
            pod_resources=[_pod_resources(each) for each in list(self.listed)]
        )

    def _listen(self, endpoint: Endpoint) -> None:
        with contextlib.suppress(grpc.RpcError, ValueError):
            for answer in endpoint.stub.ListAndWatch(deviceplugin_pb2.Empty()):
                assert all(each.health == "Healthy" for each in answer.devices)
                with self._changed:
                    endpoint.devices = tuple(each.ID for each in answer.devices)
                    self._changed.notify_all()
        with self._changed:
            endpoint.devices = ()
            endpoint.is_listening = False
            self._changed.notify_all()


def _pod_resources(container: Container) -> podresources_pb2.PodResources:
    return podresources_pb2.PodResources(
        name=container.pod,
        namespace=container.namespace,
        containers=[
            podresources_pb2.ContainerResources(
                name=container.name, devices=list(_entries(container))
            )
        ],
    )


def _entries(container: Container) -> Iterator[podresources_pb2.ContainerDevices]:
    for resource, ids in container.devices.items():
        for piece in (ids[::2], ids[1::2]):
            if piece:
                yield podresources_pb2.ContainerDevices(resource_name=resource, device_ids=piece)
