"""`gshare defrag`, as options."""

from typing import Annotated

import typer
from rich.console import Console

from gshare.errors import InputError

from . import output
from .observing import Context, Json, Kubeconfig, kubectl_app

_PATIENCE_S = 300.0


OnlyPlan = Annotated[
    bool, typer.Option("--plan", help="Print which evictions would free GPUs; the default.")
]
Apply = Annotated[
    bool, typer.Option("--apply", help="Evict, one pod at a time, and free the GPUs.")
]
Most = Annotated[int | None, typer.Option("--gpus", metavar="N", help="Free N GPUs at most.")]
Patience = Annotated[
    float,
    typer.Option("--timeout", metavar="S", help="At most so long from an eviction to a ready pod."),
]


def defrag_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    only_plan: OnlyPlan = False,  # noqa: FBT002 (typer's form)
    apply: Apply = False,  # noqa: FBT002
    gpus: Most = None,
    patience: Patience = _PATIENCE_S,
    as_json: Json = False,  # noqa: FBT002
    kubeconfig: Kubeconfig = None,
    kube_context: Context = None,
) -> None:
    """Name the evictions that would free whole GPUs of the cluster, and what each costs."""
    if only_plan and apply:
        raise InputError("command line", "--plan", "given", "goes without --apply")
    if gpus is not None and gpus < 1:
        raise InputError("command line", "--gpus", gpus, "must be at least 1")
    if not 0 < patience < float("inf"):
        raise InputError("command line", "--timeout", patience, "must be seconds above 0")
    from gshare.runtime.kube import ApiServer  # noqa: PLC0415 (local runs need none of it)

    from . import defrag_show  # noqa: PLC0415

    api = ApiServer.connect(kubeconfig, kube_context)
    wanted = defrag_show.Wanted(gpus, patience, as_json)
    if not apply:
        defrag_show.plan(api, wanted, Console())
    elif not defrag_show.apply(api, wanted, Console(), output.error_console()):
        raise typer.Exit(1)


kubectl_app.command("defrag")(defrag_command)
