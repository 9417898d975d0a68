"""The program `gshare-modelstore`: one copy of each model's weights on a GPU, for its leases."""

import argparse
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from gshare import units
from gshare.errors import GshareError
from gshare.runtime import service, web
from gshare.runtime.address import Address

from . import folders, metrics, throttle
from . import settings as defaults
from .cuda import Gpu
from .folders import GpuFolder
from .places import FolderPlace, Place, SocketPlace
from .server import Server
from .settings import FolderSettings, SocketSettings, StoreSettings
from .sharing import DeviceSharing
from .sharing_ipc import IpcSharing
from .sharing_vmm import VmmSharing

_SWITCH_S: Final = 0.0005
"""How long a worker that reads a header may hold up the loop, which serves all clients."""


def main() -> None:
    """Serve until SIGTERM; exit code 1 with one line on stderr where that cannot be."""
    stop = service.begin()
    parser = _parser()
    settings = _settings(parser, parser.parse_args())
    try:
        _serve(settings, stop)
    except GshareError as error:
        sys.exit(f"gshare-modelstore: {error}")


def _serve(settings: StoreSettings, stop: threading.Event) -> None:
    sys.setswitchinterval(_SWITCH_S)
    throttle.begin()
    _raise_limits()
    with _lock(settings.place):
        place = _place_of(settings)
        server = Server(place, settings.poll_s, _opener(settings, place.gpu))
        page = _metrics(settings, server, place.gpu)
        try:
            server.run(stop)
        finally:
            server.close()
            if page is not None:
                page.stop()


def _place_of(settings: StoreSettings) -> Place:
    if isinstance(settings.place, FolderSettings):
        return FolderPlace(GpuFolder(settings.place.folder, settings.quota_bytes))
    return SocketPlace(settings.place, settings.quota_bytes)


def _lock(place: FolderSettings | SocketSettings) -> TextIO:
    """Let no second store serve the same place."""
    if isinstance(place, FolderSettings):
        return folders.lock_folder(place.folder)
    return folders.lock_socket(place.socket)


def _opener(settings: StoreSettings, gpu_uuid: str) -> Callable[[], DeviceSharing] | None:
    """Return what opens the GPU, at the first weights for it: a context takes memory there."""
    if not settings.has_gpu:
        return None
    kind = VmmSharing if settings.sharing == defaults.SHARING_VMM else IpcSharing
    return lambda: kind(Gpu(gpu_uuid))


def _metrics(settings: StoreSettings, server: Server, gpu_uuid: str) -> web.WebServer | None:
    if settings.metrics is None:
        return None
    collector = metrics.StoreCollector(
        gpu_uuid, server.catalogue, server.keeping.timings, lambda: server.clients
    )
    app = web.app("gshare-modelstore", metrics.registry(collector), str)
    page = web.WebServer(settings.metrics, app, threads=2)
    page.start()
    return page


def _raise_limits() -> None:
    """Let the store hold as many descriptors as it may: some for each client and each model."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gshare-modelstore", description=__doc__)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--dir",
        type=Path,
        metavar="FOLDER",
        help="the folder of one GPU, named by its UUID, whose leases to serve",
    )
    place.add_argument("--socket", type=Path, metavar="PATH", help="serve this socket alone")
    parser.add_argument("--namespace", default="default", help="of the clients of --socket")
    parser.add_argument(
        "--host-memory", type=_memory, metavar="SIZE", help="for weights of --socket (4Gi)"
    )
    parser.add_argument(
        "--device-memory", type=_memory, metavar="SIZE", help="for weights of --socket with --gpu"
    )
    parser.add_argument("--gpu", metavar="UUID", help="the GPU that --socket serves")
    parser.add_argument(
        "--shared-from",
        type=_namespaces,
        metavar="NS,...",
        help="namespaces that may store under shared/; with --dir the folder's budget says it",
    )
    parser.add_argument("--no-gpu", action="store_true", help="keep weights in host memory only")
    parser.add_argument(
        "--sharing",
        choices=defaults.SHARINGS,
        default=defaults.SHARING_VMM,
        help="how GPU memory is shown to clients; ipc can not make it read-only (%(default)s)",
    )
    parser.add_argument(
        "--namespace-quota", type=_memory, metavar="SIZE", help="of weights, each namespace"
    )
    parser.add_argument("--metrics", type=Address.argument, metavar="HOST:PORT")
    return parser


def _settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> StoreSettings:
    return StoreSettings(
        place=_place(parser, options),
        has_gpu=not options.no_gpu and (options.dir is not None or options.gpu is not None),
        sharing=options.sharing,
        quota_bytes=options.namespace_quota,
        metrics=options.metrics,
    )


def _place(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> FolderSettings | SocketSettings:
    if options.dir is not None:
        for name in ("host_memory", "device_memory", "gpu", "shared_from"):
            if getattr(options, name) is not None:
                parser.error(f"--{name.replace('_', '-')}: not with --dir, whose budget says it")
        return FolderSettings(options.dir)
    if options.gpu is None and not options.no_gpu:
        parser.error("--socket: wants --gpu UUID or --no-gpu")
    return SocketSettings(
        socket=options.socket,
        namespace=options.namespace,
        host_bytes=4 * 2**30 if options.host_memory is None else options.host_memory,
        device_bytes=options.device_memory or 0,
        gpu=None if options.no_gpu else options.gpu,
        shared_from=options.shared_from or frozenset({options.namespace}),
    )


def _memory(text: str) -> int:
    try:
        return units.memory_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def _namespaces(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    main()
