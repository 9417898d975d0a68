"""Where starts of containers pass from the registrar to the plugin: a socket for each resource.

The message is the kubelet's own, PreStartContainer. A plugin that is being restarted is waited for:
every call may be repeated, since a start makes a new lease each time and ends the one before.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc

from gshare.errors import GshareError

from .proto import deviceplugin_pb2 as messages
from .proto import deviceplugin_pb2_grpc
from .servicer import StartServicer

PATIENCE_S: Final = 10.0
"""How long the plugin may be away. With one call's time it stays below the kubelet's 30 s."""
_CALL_S: Final = 18.0
_PAUSE_S: Final = 0.1
_THREADS: Final = 256
_FOLDER: Final = "plugin"
_ANSWERS: Final = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL})
_OPTIONS: Final = (
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)

Start = Callable[[Sequence[str]], None]


class Passage:
    """The registrar's end: passes starts of one resource on. Any thread may call."""

    def __init__(self, state: Path, resource: str) -> None:
        channel = grpc.insecure_channel(f"unix://{_socket(state, resource)}", options=_OPTIONS)
        self._stub = deviceplugin_pb2_grpc.DevicePluginStub(channel)

    def start(self, device_ids: Sequence[str]) -> None:
        """Have the plugin start a container; GshareError with its words, or where it is away."""
        request = messages.PreStartContainerRequest(devices_ids=device_ids)
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._stub.PreStartContainer(request, timeout=_CALL_S)
            except grpc.RpcError as error:
                if error.code() in _ANSWERS:
                    raise GshareError(error.details()) from error
                if time.monotonic() > until_s:
                    raise GshareError(
                        f"gshare's device plugin does not answer ({error.code().name.lower()}); "
                        "the kubelet tries again"
                    ) from error
            else:
                return
            time.sleep(_PAUSE_S)


@contextmanager
def serving(state: Path, starts: Mapping[str, Start]) -> Iterator[None]:
    """Serve the plugin's end while the block runs: what each resource's starts do."""
    servers = [
        _serve(_socket(state, resource), resource, each) for resource, each in starts.items()
    ]
    try:
        yield
    finally:
        for server in servers:
            server.stop(grace=None)


def _serve(socket: Path, resource: str, start: Start) -> grpc.Server:
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.unlink(missing_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(_THREADS, resource))
    servicer = StartServicer(resource, start)
    deviceplugin_pb2_grpc.add_DevicePluginServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    return server


def _socket(state: Path, resource: str) -> Path:
    return state / _FOLDER / f"{resource.rpartition('/')[2]}.sock"
