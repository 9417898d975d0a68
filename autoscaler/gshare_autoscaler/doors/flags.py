"""The doors' flags, for the program's own parser."""

import argparse
from pathlib import Path
from typing import Final

from gshare.runtime.address import Address

from .settings import DoorSettings, ServiceAddress, TlsFiles

_SHUT: Final = "off"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags to `parser`; `settings` reads what it found."""
    default = DoorSettings()
    group = parser.add_argument_group("doors")
    for flag, value, text in (
        ("--custom-metrics", default.api, "where custom.metrics.k8s.io is, over TLS"),
        ("--keda", default.keda, "where KEDA's external scaler is"),
    ):
        shown = f":{value.port}" if value else _SHUT
        group.add_argument(
            flag,
            type=_address,
            default=value,
            metavar="HOST:PORT",
            help=f"{text}; {_SHUT}: nowhere ({shown})",
        )
    group.add_argument(
        "--service",
        type=_service,
        default=default.service,
        metavar="NAMESPACE/NAME[:PORT]",
        help="the Service by which the API server finds this process (%(default)s)",
    )
    group.add_argument(
        "--no-registration",
        action="store_true",
        help="create no APIServices: someone else does, or another adapter serves the group",
    )
    for flag, text in (
        ("--tls-cert-file", "a serving certificate that someone else renews"),
        ("--tls-key-file", "its key"),
        ("--tls-ca-file", "who signed it, for the APIServices"),
    ):
        group.add_argument(flag, type=Path, metavar="FILE", help=text)


def settings(options: argparse.Namespace) -> DoorSettings:
    """Return what the flags say; ValueError where they make no sense."""
    files = (options.tls_cert_file, options.tls_key_file, options.tls_ca_file)
    if any(files) and not all(files):
        raise ValueError("--tls-cert-file, --tls-key-file and --tls-ca-file: all or none")
    return DoorSettings(
        api=options.custom_metrics,
        keda=options.keda,
        service=options.service,
        tls=TlsFiles(*files) if all(files) else None,
        registers=not options.no_registration,
    )


def _address(text: str) -> Address | None:
    return None if text == _SHUT else Address.argument(text)


def _service(text: str) -> ServiceAddress:
    namespace, slash, rest = text.partition("/")
    name, colon, port = rest.partition(":")
    if not (namespace and slash and name) or (colon and not port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r}: must be NAMESPACE/NAME or NAMESPACE/NAME:PORT")
    return ServiceAddress(namespace, name, int(port) if colon else DoorSettings().service.port)
