"""Asks the kubelet which container has which device IDs, by its PodResources API.

The kubelet answers ten calls at once and a hundred a second, then refuses. So calls that wait for
one another share an answer: a caller gets a list that was asked for after it called, never an
older one.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from gshare import names
from gshare.errors import GshareError

from . import lease
from .lease import Owner
from .proto import podresources_pb2, podresources_pb2_grpc

_TIMEOUT_S: Final = 3.0
_TRIES: Final = 5
_PAUSE_S: Final = 0.1
_LARGEST_ANSWER: Final = 64 << 20
# The name is for kubelets that are strict about what a unix socket's authority may be.
_OPTIONS: Final = (
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", _LARGEST_ANSWER),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
)


class PodResourcesError(GshareError):
    """The kubelet does not say whose devices are whose."""


@dataclass(frozen=True, slots=True)
class Held:
    """The device IDs of one container, by resource."""

    owner: Owner
    devices: Mapping[str, frozenset[str]]

    def ids(self, resource: str) -> frozenset[str]:
        """Return the device IDs of one resource."""
        return self.devices.get(resource, frozenset())

    @property
    def digest(self) -> str:
        """Return what names the lease of the container."""
        return lease.digest(self.ids(names.RESOURCE_SM))


class PodResources:
    """The kubelet's list of containers that hold devices of ours. Any thread may ask."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=_OPTIONS)
        self._stub = podresources_pb2_grpc.PodResourcesListerStub(self._channel)
        self._lock = threading.Lock()
        self._asked_s = -1.0
        self._answer: tuple[Held, ...] = ()

    def list(self) -> tuple[Held, ...]:
        """Return every container that holds devices of ours; PodResourcesError.

        Older kubelets also name containers of pods that have ended.
        """
        called_s = time.monotonic()
        with self._lock:
            if self._asked_s < called_s:
                asked_s = time.monotonic()
                self._answer = self._ask()
                self._asked_s = asked_s
            return self._answer

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _ask(self) -> tuple[Held, ...]:
        for attempt in range(_TRIES):
            try:
                answer = self._stub.List(
                    podresources_pb2.ListPodResourcesRequest(),
                    timeout=_TIMEOUT_S,
                    wait_for_ready=True,
                )
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and attempt + 1 < _TRIES:
                    time.sleep(_PAUSE_S)
                    continue
                raise PodResourcesError(f"kubelet's PodResources: {_said(error)}") from error
            return tuple(held for held in _read(answer) if held.devices)
        raise AssertionError  # the last try returns or raises


def _read(answer: podresources_pb2.ListPodResourcesResponse) -> list[Held]:
    return [
        Held(Owner(pod.namespace, pod.name, container.name), _devices(container))
        for pod in answer.pod_resources
        for container in pod.containers
    ]


def _devices(container: podresources_pb2.ContainerResources) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for entry in container.devices:
        if entry.resource_name in {names.RESOURCE_SM, names.RESOURCE_QUOTA}:
            earlier = found.get(entry.resource_name, frozenset())
            found[entry.resource_name] = earlier | frozenset(entry.device_ids)
    return found


def _said(error: grpc.RpcError) -> str:
    return f"{error.code().name.lower()}: {error.details()}"
