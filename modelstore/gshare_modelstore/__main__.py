"""The program `gshare-modelstore`: one copy of each model's weights on a GPU, for its leases."""

import argparse
import sys
from pathlib import Path

from gshare import units
from gshare.errors import GshareError
from gshare.runtime import service
from gshare.runtime.address import Address

from . import settings as defaults
from .settings import FolderSettings, SocketSettings, StoreSettings


def main() -> None:
    """Serve until SIGTERM; exit code 1 with one line on stderr where that cannot be."""
    stop = service.begin()
    parser = _parser()
    settings = _settings(parser, parser.parse_args())
    del stop, settings
    sys.exit("gshare-modelstore: not built yet")


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
    try:
        main()
    except GshareError as error:
        sys.exit(f"gshare-modelstore: {error}")
