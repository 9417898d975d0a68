"""The programs of a node's agent: `gshare-deviceplugin registrar`, `plugin`, and supervisors."""

import argparse
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from gshare import names, units
from gshare.errors import GshareError
from gshare.runtime import service
from gshare.runtime.native import Native

from .settings import NodeSettings, PluginSettings, RegistrarSettings, StoreTerms


def main() -> None:
    """Run one program until SIGTERM; exit code 1 with one line on stderr where it cannot."""
    stop = service.begin()
    options = _parser(os.environ).parse_args()
    try:
        options.program(options, stop)
    except (GshareError, OSError) as error:
        sys.exit(f"gshare-deviceplugin: {error}")


def _plugin(options: argparse.Namespace, stop: threading.Event) -> None:
    from .plugin import Plugin  # noqa: PLC0415 (the other programs need no gRPC)

    settings = PluginSettings(
        node=_node(options),
        node_name=options.node_name,
        pod_resources=options.pod_resources,
        cdi=options.cdi_dir,
        metrics_host=options.metrics_host,
        metrics_port=options.metrics_port,
        hook=options.hook,
        host_root=options.host_root,
        store=StoreTerms(
            options.store_context_memory, options.store_host_memory, options.store_shared_from
        ),
        kubeconfig=options.kubeconfig,
    )
    Plugin(settings).run(stop)
    # All is stopped in order. What is left are threads of gRPC's core, which under load were seen
    # to hang the interpreter's end for longer than a pod's grace.
    logging.shutdown()
    os._exit(0)


def _registrar(options: argparse.Namespace, stop: threading.Event) -> None:
    from .registrar import supervise  # noqa: PLC0415

    supervise(RegistrarSettings(_node(options), options.kubelet_dir, options.units_per_gpu), stop)


def _daemons(options: argparse.Namespace, stop: threading.Event) -> None:
    from .daemons import DaemonSettings, supervise  # noqa: PLC0415

    node = _node(options)
    native = Native.locate(node.native)
    supervise(DaemonSettings(node.state, native.tokend, node.window_us), stop)


def _model_stores(options: argparse.Namespace, stop: threading.Event) -> None:
    from .modelstores import ModelStoreSettings, supervise  # noqa: PLC0415

    node = _node(options)
    if not node.has_store:
        why = "is off" if not node.model_store else "needs cuda-bindings, which is not installed"
        logging.getLogger(__name__).warning('event=no_model_stores text="--model-store %s"', why)
        stop.wait()
        return
    drivers = Native.locate(node.native).simgpu if node.simulate else None
    supervise(ModelStoreSettings(node.state, _store_flags(options), drivers), stop)


def _store_flags(options: argparse.Namespace) -> tuple[str, ...]:
    flags = ["--sharing", options.store_sharing]
    if options.store_namespace_quota is not None:
        flags += ["--namespace-quota", str(options.store_namespace_quota)]
    return tuple(flags)


def _mps(options: argparse.Namespace, stop: threading.Event) -> None:
    from .mps import MpsSettings, supervise  # noqa: PLC0415

    node = _node(options)
    drivers = Native.locate(node.native).simgpu if node.simulate else None
    supervise(MpsSettings(node.state, drivers), stop)


def _node(options: argparse.Namespace) -> NodeSettings:
    return NodeSettings(
        options.state_dir,
        options.native_dir,
        options.simulate,
        options.time_scale,
        model_store=options.model_store == "on",
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gshare-deviceplugin", description=__doc__)
    programs = parser.add_subparsers(required=True, metavar="PROGRAM")
    registrar = programs.add_parser("registrar", help="both resources, registered at the kubelet")
    _add_node(registrar, environment)
    _add_registrar(registrar)
    registrar.set_defaults(program=_registrar)
    plugin = programs.add_parser("plugin", help="leases and inventory: what a container may have")
    _add_node(plugin, environment)
    _add_plugin(plugin, environment)
    plugin.set_defaults(program=_plugin)
    daemons = programs.add_parser("daemons", help="one token daemon for each GPU")
    _add_node(daemons, environment)
    daemons.set_defaults(program=_daemons)
    stores = programs.add_parser("model-stores", help="one model store where a pod wants one")
    _add_node(stores, environment)
    _add_model_stores(stores)
    stores.set_defaults(program=_model_stores)
    mps = programs.add_parser("mps", help="one MPS control daemon for each GPU")
    _add_node(mps, environment)
    mps.set_defaults(program=_mps)
    return parser


def _add_node(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    default = NodeSettings()
    state = Path(environment.get(names.ENV_STATE_DIR, default.state))
    parser.add_argument("--state-dir", type=Path, default=state, help="%(default)s")
    parser.add_argument("--native-dir", default=environment.get(names.ENV_NATIVE_DIR))
    parser.add_argument(
        "--simulate",
        metavar="KIND[:COUNT]",
        default=environment.get(names.ENV_SIMULATE) or None,
        help="offer simulated GPUs, such as v100:2",
    )
    parser.add_argument(
        "--time-scale",
        type=_positive,
        default=environment.get(names.ENV_TIME_SCALE) or default.time_scale,
        help="how many times slower than real simulated GPUs are",
    )
    parser.add_argument(
        "--model-store",
        choices=("on", "off"),
        default=environment.get(names.ENV_MODEL_STORE) or "on",
        help="keep the models that pods announce once on each GPU (%(default)s)",
    )


def _add_registrar(parser: argparse.ArgumentParser) -> None:
    default = RegistrarSettings(NodeSettings())
    parser.add_argument("--kubelet-dir", type=Path, default=default.kubelet, help="%(default)s")
    parser.add_argument("--units-per-gpu", type=_positive, default=default.units_per_gpu)


def _add_plugin(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    default = PluginSettings(NodeSettings(), "")
    name = environment.get(names.ENV_NODE_NAME) or socket.gethostname().lower()
    parser.add_argument("--node-name", default=name, help="the Node object (%(default)s)")
    parser.add_argument("--pod-resources", type=Path, default=default.pod_resources)
    parser.add_argument("--cdi-dir", type=Path, default=default.cdi, help="%(default)s")
    hook = environment.get(names.ENV_HOOK) or default.hook
    parser.add_argument("--hook", choices=names.HOOKS, default=hook, help="%(default)s")
    root = Path(environment.get(names.ENV_HOST_ROOT) or default.host_root)
    parser.add_argument("--host-root", type=Path, default=root, help="%(default)s")
    _add_store_terms(parser)
    parser.add_argument("--metrics-host", default=default.metrics_host, help="%(default)s")
    parser.add_argument("--metrics-port", type=int, default=default.metrics_port)
    parser.add_argument("--kubeconfig", type=Path, default=None)


def _add_store_terms(parser: argparse.ArgumentParser) -> None:
    default = StoreTerms()
    parser.add_argument(
        "--store-context-memory",
        type=_memory,
        metavar="SIZE",
        default=default.context_bytes,
        help="what a model store takes of a GPU for itself (300Mi)",
    )
    parser.add_argument(
        "--store-host-memory",
        type=_memory,
        metavar="SIZE",
        default=default.host_bytes,
        help="weights that each model store keeps in the host's memory at most (4Gi)",
    )
    parser.add_argument(
        "--store-shared-from",
        type=_names,
        metavar="NS,...",
        default=default.shared_from,
        help="namespaces that may store models for all namespaces, under shared/ (none)",
    )


def _add_model_stores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store-sharing",
        choices=("vmm", "ipc"),
        default="vmm",
        help="how stores show their memory to pods (%(default)s)",
    )
    parser.add_argument(
        "--store-namespace-quota", type=_memory, metavar="SIZE", help="of weights, each namespace"
    )


def _memory(text: str) -> int:
    try:
        return units.memory_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: must be 1 or more")
    return number


if __name__ == "__main__":
    main()
