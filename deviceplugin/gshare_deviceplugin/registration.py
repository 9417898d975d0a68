"""The life of one resource's gRPC server: served, made known to the kubelet, and again if need be.

Nothing here knows what a device is. The order is the kubelet's: listen, then register, because it
dials back from inside `Register`. It has forgotten us whenever
  - its own socket is another file than the one that we registered at (it started again),
  - our socket has vanished (it empties the folder when it starts),
  - nobody has listened to our list for some seconds (it gave up on the connection).
In each case we listen on a new socket and register anew: newer kubelets refuse a second
registration of a socket that is still connected. A socket's name is never used twice, so an old
one is nobody's; those of killed plugins are removed at start.

A kubelet that starts fails pods for good whose resource it does not know yet, so it is looked for
twenty times a second, by a `stat` or a `connect`.
"""

import contextlib
import itertools
import logging
import os
import socket as sockets
import threading
import time
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from .proto import deviceplugin_pb2 as messages
from .proto import deviceplugin_pb2_grpc
from .servicer import Resource, ResourceServicer

VERSION: Final = "v1beta1"
KUBELET_SOCKET: Final = "kubelet.sock"
_PREFIX: Final = "gshare-"
# A start of a container may wait here for a while, one a pod: never may those keep out Allocate,
# for which the whole kubelet waits.
_THREADS: Final = 256
_REGISTER_S: Final = 12.0  # inside it the kubelet may take 10 to dial back
_LOOK_S: Final = 0.05
_UNHEARD_S: Final = 10.0
_PAUSE_S: Final = 0.5
_OPTIONS: Final = (("grpc.default_authority", "localhost"),)

_numbers = itertools.count()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Serving:
    """One server on one socket, and the kubelet's socket that it was made known at."""

    server: grpc.Server
    servicer: ResourceServicer
    socket: Path
    kubelet: tuple[int, ...]
    since_s: float


class Registration:
    """Keeps one resource served and registered, on a thread of its own."""

    def __init__(self, folder: Path, resource: Resource) -> None:
        self._folder = folder
        self._resource = resource
        self._stopping = threading.Event()
        self._registered = threading.Event()
        self._thread = threading.Thread(target=self._run, name=resource.name, daemon=True)

    def start(self) -> None:
        """Begin; returns at once, whether a kubelet is there or not."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; the kubelet then offers nothing more of the resource."""
        self._stopping.set()
        self._thread.join()

    @property
    def resource(self) -> str:
        """Return the resource's name."""
        return self._resource.name

    @property
    def is_registered(self) -> bool:
        """Tell whether the kubelet knows us."""
        return self._registered.is_set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not _answers(self._folder / KUBELET_SOCKET):
                self._stopping.wait(_LOOK_S)
                continue
            serving = None
            try:
                serving = self._serve()
                self._register(serving)
                self._watch(serving)
            except (OSError, RuntimeError, grpc.RpcError) as error:
                text = _said(error)
                _log.warning("event=not_registered resource=%s error=%r", self._resource.name, text)
                self._stopping.wait(_PAUSE_S)
            finally:
                self._registered.clear()
                if serving:
                    _end(serving)

    def _serve(self) -> _Serving:
        kubelet = _identity(self._folder / KUBELET_SOCKET)
        servicer = ResourceServicer(self._resource)
        server = grpc.server(futures.ThreadPoolExecutor(_THREADS, self._resource.name))
        deviceplugin_pb2_grpc.add_DevicePluginServicer_to_server(servicer, server)
        socket = self._folder / _fresh_name(self._resource.name)
        server.add_insecure_port(f"unix://{socket}")
        server.start()
        return _Serving(server, servicer, socket, kubelet, time.monotonic())

    def _register(self, serving: _Serving) -> None:
        target = f"unix://{self._folder / KUBELET_SOCKET}"
        request = messages.RegisterRequest(
            version=VERSION,
            endpoint=serving.socket.name,
            resource_name=self._resource.name,
            options=messages.DevicePluginOptions(pre_start_required=True),
        )
        with grpc.insecure_channel(target, options=_OPTIONS) as channel:
            stub = deviceplugin_pb2_grpc.RegistrationStub(channel)
            stub.Register(request, timeout=_REGISTER_S)
        self._registered.set()
        _log.info(
            "event=registered resource=%s socket=%s", self._resource.name, serving.socket.name
        )

    def _watch(self, serving: _Serving) -> None:
        """Return when the kubelet has forgotten us, or we are to stop."""
        heard_s = time.monotonic()
        while not self._stopping.wait(_LOOK_S):
            now_s = time.monotonic()
            if serving.servicer.is_watched:
                heard_s = now_s
            reason = self._forgotten(serving, now_s - heard_s)
            if reason:
                _log.info("event=forgotten resource=%s reason=%r", self._resource.name, reason)
                return

    def _forgotten(self, serving: _Serving, unheard_s: float) -> str:
        if not serving.socket.exists():
            return "our socket vanished"
        try:
            if _identity(self._folder / KUBELET_SOCKET) != serving.kubelet:
                return "the kubelet has a new socket"
        except FileNotFoundError:
            return ""  # it is away; nothing to register at
        return "nobody listens" if unheard_s > _UNHEARD_S else ""


def remove_stale_sockets(folder: Path) -> None:
    """Remove sockets that plugins of ours left when they were killed."""
    for file in folder.glob(f"{_PREFIX}*.sock"):
        if not _answers(file):
            file.unlink(missing_ok=True)


def _answers(socket: Path) -> bool:
    """Tell whether somebody listens on a socket."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        try:
            probe.connect(str(socket))
        except OSError:
            return False
        return True


def _fresh_name(resource: str) -> str:
    """Return a name that no socket of ours ever had, short enough for a socket's address."""
    name = resource.rpartition("/")[2]
    return f"{_PREFIX}{name}-{time.time_ns():x}-{os.getpid():x}-{next(_numbers)}.sock"


def _identity(file: Path) -> tuple[int, ...]:
    """Return what tells one socket file from the next; inode numbers are soon used again."""
    found = file.stat()
    return (found.st_dev, found.st_ino, found.st_ctime_ns)


def _end(serving: _Serving) -> None:
    serving.servicer.end()
    serving.server.stop(grace=None).wait()
    with contextlib.suppress(FileNotFoundError):
        serving.socket.unlink()


def _said(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name.lower()}: {error.details()}"
    return str(error)
