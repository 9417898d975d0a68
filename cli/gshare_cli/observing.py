"""`gshare ps`, `map` and `explain`, as options; also the whole of `kubectl gshare`.

As a plugin of kubectl the commands look at the cluster; as `gshare` at this machine first.
"""

from importlib import metadata
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from gshare.errors import InputError

from . import map as map_command
from . import output, ps, where
from .session import SessionSettings
from .where import Where

_PODS: Final = frozenset({"pod", "pods", "po"})
_FUNCTIONS: Final = frozenset({"function", "functions"})
KUBECTL: Final = "kubectl"
"""The context object of the commands where they are a plugin of kubectl."""

kubectl_app = typer.Typer(
    name="kubectl gshare",
    help="The GPUs of a cluster as rectangles: what runs, where it lies, why a pod waits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig to use.")
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="The context in it to use.")
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="On the cluster: where.")
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="On the cluster: everywhere.")
]
Cluster = Annotated[bool, typer.Option("--cluster", help="Look at the cluster of the kubeconfig.")]
Local = Annotated[bool, typer.Option("--local", help="Look at this machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Svg = Annotated[Path | None, typer.Option(metavar="FILE", help="Write an SVG page instead.")]


def ps_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    context: typer.Context,
    as_json: Json = False,  # noqa: FBT002 (typer's form)
    namespace: Namespace = None,
    all_namespaces: AllNamespaces = False,  # noqa: FBT002
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
    cluster: Cluster = False,  # noqa: FBT002
    local: Local = False,  # noqa: FBT002
) -> None:
    """List what runs on GPUs, of this machine or of a cluster, and what each got over a second."""
    is_cluster = cluster or context.obj == KUBECTL
    asked = Where(kubeconfig, kube_context, namespace, all_namespaces, is_cluster, local)
    out, err, settings = Console(), output.error_console(), SessionSettings()
    api = where.find(asked, settings, err)
    if api is None:
        ps.show(settings, out, as_json=as_json)
        return
    from . import cluster_show  # noqa: PLC0415 (local runs need none of it)

    chosen = None if all_namespaces else namespace or api.namespace
    cluster_show.ps(api, chosen, out, err, as_json=as_json)


def map_command_(  # noqa: PLR0913, PLR0917 (one parameter an option)
    context: typer.Context,
    svg: Svg = None,
    as_json: Json = False,  # noqa: FBT002 (typer's form)
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
    cluster: Cluster = False,  # noqa: FBT002
    local: Local = False,  # noqa: FBT002
) -> None:
    """Draw the GPUs of this machine or of a cluster as rectangles: x is time, y is SMs."""
    is_cluster = cluster or context.obj == KUBECTL
    asked = Where(kubeconfig, kube_context, is_cluster=is_cluster, is_local=local)
    out, err, settings = Console(), output.error_console(), SessionSettings()
    api = where.find(asked, settings, err)
    if api is None:
        map_command.show(settings, out, svg, as_json=as_json)
        return
    from . import cluster_show  # noqa: PLC0415 (local runs need none of it)

    cluster_show.map_(api, out, err, svg, as_json=as_json)


def explain_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A pod, as NAME or NAMESPACE/NAME; a function, so or as function/NAME.",
        ),
    ],
    namespace: Namespace = None,
    as_json: Json = False,  # noqa: FBT002 (typer's form)
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
) -> None:
    """Say why a pod of the cluster is pending or what it holds; why a function has its replicas."""
    from gshare.runtime.kube import ApiServer  # noqa: PLC0415 (local runs need none of it)

    from . import cluster_show  # noqa: PLC0415

    api = ApiServer.connect(kubeconfig, kube_context)
    folder, _, last = name.rpartition("/")
    kind, folder = (folder, "") if folder in {*_PODS, *_FUNCTIONS} else ("", folder)
    if not last:
        raise InputError("command line", "NAME", name, "must be a name, or NAMESPACE/NAME")
    show = cluster_show.explain_function if kind in _FUNCTIONS else cluster_show.explain_
    show(api, namespace or folder or api.namespace, last, Console(), as_json=as_json)


def version_command() -> None:
    """Print the version."""
    Console().print(f"gshare {metadata.version('gshare')}", highlight=False)


def register(app: typer.Typer) -> None:
    """Give `app` these commands."""
    app.command("ps")(ps_command)
    app.command("map")(map_command_)
    app.command("explain")(explain_command)


register(kubectl_app)
kubectl_app.command("version")(version_command)
