"""The program `gshare-extender`: filter, prioritize and bind for a kube-scheduler beside it."""

import argparse
import dataclasses
import sys
from pathlib import Path

from gshare import modes, policies
from gshare.errors import GshareError
from gshare.runtime import service as runtime
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer

from . import interpreter
from .service import Service
from .settings import ExtenderSettings


def main() -> None:
    """Serve until SIGTERM; exit code 1 with one line on stderr where that cannot be."""
    stop = runtime.begin()
    interpreter.begin()
    settings = _settings(_parser().parse_args())
    try:
        service = Service(settings, ApiServer.connect(settings.kubeconfig))
        service.start()
    except GshareError as error:
        sys.exit(f"gshare-extender: {error}")
    stop.wait()
    service.stop()


def _parser() -> argparse.ArgumentParser:
    default = ExtenderSettings()
    parser = argparse.ArgumentParser(prog="gshare-extender", description=__doc__)
    parser.add_argument(
        "--listen",
        type=Address.argument,
        default=default.listen,
        metavar="HOST:PORT",
        help="where the scheduler asks; keep it on loopback (127.0.0.1:10480)",
    )
    parser.add_argument(
        "--metrics",
        type=Address.argument,
        default=default.metrics,
        metavar="HOST:PORT",
        help="where /metrics, /healthz, /readyz and /v1/cluster are (:10481)",
    )
    parser.add_argument("--kubeconfig", type=Path, help="default: the pod's service account")
    parser.add_argument(
        "--mode",
        choices=tuple(modes.MODES),
        default=default.mode,
        help="whether a quota is one rectangle or may be cut into slices (%(default)s)",
    )
    parser.add_argument(
        "--policy",
        choices=tuple(policies.POLICIES),
        default=default.policy,
        help="which GPU pods prefer that do not say it themselves (%(default)s)",
    )
    parser.add_argument(
        "--filter-nodes",
        type=_above_zero,
        default=default.filter_nodes,
        metavar="N",
        help="how many nodes filter offers the scheduler (%(default)s)",
    )
    return parser


def _settings(options: argparse.Namespace) -> ExtenderSettings:
    return dataclasses.replace(ExtenderSettings(), **vars(options))


def _above_zero(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return number


if __name__ == "__main__":
    main()
