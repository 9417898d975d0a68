"""The program `gshare-autoscaler`: tells HPAs how many replicas of which shape a function needs."""

import argparse
import math
import sys
from pathlib import Path

from gshare import scaling
from gshare.errors import GshareError
from gshare.runtime import service as runtime
from gshare.runtime.address import Address
from gshare.runtime.kube import ApiServer
from gshare.scaling import ControllerSettings

from . import doors
from .service import Service
from .settings import AutoscalerSettings, PrometheusSettings


def main() -> None:
    """Serve until SIGTERM; exit code 1 with one line on stderr where that cannot be."""
    stop = runtime.begin()
    parser = _parser()
    try:
        settings = _settings(parser.parse_args())
    except ValueError as error:
        parser.error(str(error))
    try:
        service = Service(settings, ApiServer.connect(settings.kubeconfig))
        service.start()
    except GshareError as error:
        sys.exit(f"gshare-autoscaler: {error}")
    stop.wait()
    service.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gshare-autoscaler", description=__doc__)
    _add_process(parser, AutoscalerSettings())
    _add_prometheus(parser, PrometheusSettings())
    _add_scaling(parser, ControllerSettings())
    doors.flags.add(parser)
    return parser


def _add_process(parser: argparse.ArgumentParser, default: AutoscalerSettings) -> None:
    parser.add_argument(
        "--metrics",
        type=Address.argument,
        default=default.metrics,
        metavar="HOST:PORT",
        help="where /metrics, /healthz, /readyz and /v1/functions are (:10483)",
    )
    parser.add_argument("--kubeconfig", type=Path, help="default: the pod's service account")
    seconds = {
        "--interval": (default.interval_s, "from decision to decision"),
        "--hold": (default.hold_s, "how long the last good answer stands without a new one"),
        "--deletion-costs": (
            default.costs_s,
            "from look to look at which replica should leave first; 0: never",
        ),
    }
    for flag, (value, text) in seconds.items():
        parser.add_argument(
            flag, type=_seconds, default=value, metavar="S", help=f"{text} (%(default)g)"
        )


def _add_prometheus(parser: argparse.ArgumentParser, default: PrometheusSettings) -> None:
    parser.add_argument(
        "--prometheus", default=default.url, metavar="URL", help="whom to ask (%(default)s)"
    )
    parser.add_argument("--prometheus-token-file", type=Path, metavar="FILE", help="a bearer token")
    parser.add_argument(
        "--prometheus-ca-file", type=Path, metavar="FILE", help="whom to trust for https"
    )
    parser.add_argument(
        "--prometheus-timeout",
        type=_seconds,
        default=default.timeout_s,
        metavar="S",
        help="for one query (%(default)g)",
    )
    parser.add_argument(
        "--window",
        default=default.window,
        metavar="TIME",
        help="$window of the queries: four scrapes or more (%(default)s)",
    )


def _add_scaling(parser: argparse.ArgumentParser, default: ControllerSettings) -> None:
    parser.add_argument(
        "--policy",
        choices=tuple(scaling.POLICIES),
        default=default.policy,
        help="which mix of shapes, where a function does not say it (%(default)s)",
    )
    numbers = {
        "--headroom": (default.headroom, "planned rate over forecast"),
        "--lead": (default.lead_s, "how far ahead to forecast, in s: the start of a pod"),
        "--trend": (default.trend_s, "over how much of the past, in s, the trend is taken"),
        "--scale-down-window": (
            default.scale_down_window_s,
            "for how long, in s, a rate that was there still counts",
        ),
    }
    for flag, (value, text) in numbers.items():
        parser.add_argument(
            flag, type=_seconds, default=value, metavar="N", help=f"{text} (%(default)g)"
        )


def _settings(options: argparse.Namespace) -> AutoscalerSettings:
    """Return what the flags say; ValueError where they make no sense."""
    return AutoscalerSettings(
        metrics=options.metrics,
        doors=doors.flags.settings(options),
        kubeconfig=options.kubeconfig,
        prometheus=PrometheusSettings(
            url=options.prometheus,
            token_file=options.prometheus_token_file,
            ca_file=options.prometheus_ca_file,
            timeout_s=options.prometheus_timeout,
            window=options.window,
        ),
        interval_s=options.interval,
        hold_s=options.hold,
        scaling=ControllerSettings(
            policy=options.policy,
            headroom=options.headroom,
            lead_s=options.lead,
            trend_s=options.trend,
            scale_down_window_s=options.scale_down_window,
        ),
        costs_s=options.deletion_costs,
    )


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0")
    return number


if __name__ == "__main__":
    main()
