"""`gshare profile`: what one replica of a function does at each shape."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from gshare import units
from gshare.errors import InputError
from gshare.profile import Profile
from gshare.runtime.kube import ApiServer
from gshare_profiler import request as requests
from gshare_profiler.campaign import Campaign
from gshare_profiler.design import Adaptive, Design, Grid
from gshare_profiler.request import Request
from gshare_profiler.settings import USERS, Arrivals, TrialSettings

from . import gpu_options, observing, output, profile_cluster, profile_run, profile_subject, up
from .gpus import GpuSettings
from .profile_cluster import LOAD_IMAGE, ClusterSettings
from .profile_local import LocalSite
from .profile_run import ProfilePlan
from .profile_subject import Said
from .session import SessionSettings
from .signals import StopRequest

_DESIGNS: Final[dict[str, Design]] = {"paper": Grid(), "adaptive": Adaptive()}
_ARRIVALS: Final[tuple[Arrivals, ...]] = ("even", "poisson")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The Deployment, as YAML.")]
Function = Annotated[
    str | None, typer.Option("--function", metavar="NAME", help="Of several in FILE, this one.")
]
OnCluster = Annotated[
    bool, typer.Option("--cluster", help="Run on the cluster of the kubeconfig, a Job a trial.")
]
Local = Annotated[bool, typer.Option("--local", help="Run on this machine; the default.")]
GridName = Annotated[
    str,
    typer.Option(
        "--grid", metavar="NAME", help="paper: all 7 x 5 shapes; adaptive: the 9-12 that tell most."
    ),
]
Slo = Annotated[
    str | None,
    typer.Option("--slo", metavar="TIME", help="The p99 to keep, such as 69ms; for the report."),
]
RequestText = Annotated[
    str | None,
    typer.Option(
        "--request",
        metavar="SPEC",
        help="What a trial sends: 'POST /infer', or a YAML file with method, path, headers, body.",
    ),
]
Users = Annotated[int, typer.Option(metavar="N", help="Requests at the replica at once.")]
ArrivalsName = Annotated[
    str, typer.Option("--arrivals", metavar="HOW", help="For latencies: even, or poisson.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Default: profiles/FUNCTION-GRID."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget the trials of an earlier run.")]
Beside = Annotated[
    Path | None,
    typer.Option(
        "--beside",
        metavar="PROFILE",
        help="Print another profile beside it; default the paper's of this function, if any.",
    ),
]
ReadyTimeout = Annotated[
    float, typer.Option(metavar="S", help="A replica must be ready after this long.")
]

GpuModel = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With --cluster: which of several models of GPU."),
]
LoadImage = Annotated[
    str, typer.Option(metavar="IMAGE", help="With --cluster: what the load runs in.")
]


def profile_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    file: File,
    function: Function = None,
    grid: GridName = "adaptive",
    slo: Slo = None,
    request: RequestText = None,
    users: Users = USERS,
    arrivals: ArrivalsName = "even",
    output_: Output = None,
    fresh: Fresh = False,  # noqa: FBT002 (typer's form)
    beside: Beside = None,
    ready_timeout: ReadyTimeout = 120.0,
    profile: gpu_options.Profile = None,
    time_scale: gpu_options.TimeScale = None,
    simulated: gpu_options.Simulated = False,  # noqa: FBT002
    window_ms: gpu_options.WindowMs = 40,
    local: Local = False,  # noqa: FBT002
    cluster: OnCluster = False,  # noqa: FBT002
    gpu_model: GpuModel = None,
    load_image: LoadImage = LOAD_IMAGE,
    namespace: observing.Namespace = None,
    kubeconfig: observing.Kubeconfig = None,
    kube_context: observing.Context = None,
) -> None:
    """Measure what one replica of a function does at each shape: throughput, latency, memory.

    Each trial runs one replica alone on a GPU, held to its SM partition and its quota. An
    interrupted profile goes on where it stopped when the same command is given again.
    """
    profile_run.require_parts()
    if local and cluster:
        raise InputError("command line", "--local", "given", "goes without --cluster")
    said = profile_subject.choose(file, up.read(file), function)
    plan = ProfilePlan(
        said=said,
        campaign=_campaign(said, grid, request, users, arrivals),
        output=output_ or Path("profiles") / f"{said.function.family}-{grid}",
        slo_ms=_slo(slo, said),
        is_fresh=fresh,
        beside=profile_run.beside_of(beside, said.function.family),
    )
    chosen = GpuSettings(simulated or None, None, profile, time_scale)
    settings = gpu_options.settings(chosen, window_ms)
    if not cluster:
        asyncio.run(_interruptible(_on_machine(plan, settings, ready_timeout, Console()), plan))
        return
    api = ApiServer.connect(kubeconfig, kube_context)
    where = ClusterSettings(
        namespace or said.namespace or api.namespace,
        load_image,
        gpu_model,
        time_scale,
        ready_timeout,
    )
    asyncio.run(_interruptible(_on_cluster(plan, api, where, Console()), plan))


def _campaign(said: Said, grid: str, request: str | None, users: int, arrivals: str) -> Campaign:
    if grid not in _DESIGNS:
        raise InputError("command line", "--grid", grid, f"must be {' or '.join(_DESIGNS)}")
    if users < 1:
        raise InputError("command line", "--users", users, "must be at least 1")
    kind = next((each for each in _ARRIVALS if each == arrivals), None)
    if kind is None:
        problem = f"must be {' or '.join(_ARRIVALS)}"
        raise InputError("command line", "--arrivals", arrivals, problem)
    sent = said.request() if request is None else _request(request)
    return Campaign(_DESIGNS[grid], sent, replace(TrialSettings(), users=users, arrivals=kind))


def _request(text: str) -> Request:
    """Return the request that the option describes, in its text or in the file it names."""
    file = Path(text)
    if " " in text or not file.exists():
        return requests.parse(
            "command line", "--request", text, lambda name: Path(name).read_bytes()
        )
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("command line", "--request", text, f"cannot be read: {error}") from error
    return requests.parse(text, "", content, lambda name: (file.parent / name).read_bytes())


def _read_bytes(name: str) -> bytes:
    return Path(name).read_bytes()


def _slo(text: str | None, said: Said) -> float | None:
    if text is None:
        return said.slo_ms()
    try:
        return units.milliseconds(text)
    except ValueError as error:
        raise InputError("command line", "--slo", text, str(error)) from error


async def _on_machine(
    plan: ProfilePlan, settings: SessionSettings, ready_timeout_s: float, console: Console
) -> Profile:
    site = await LocalSite.open(plan.said.function, settings, ready_timeout_s)
    return await profile_run.profile(plan, site, {"window_ms": site.window_ms}, console)


async def _on_cluster(
    plan: ProfilePlan, api: ApiServer, settings: ClusterSettings, console: Console
) -> Profile:
    site = profile_cluster.ClusterSite.open(api, plan.said, settings)
    return await profile_run.profile(plan, site, {"namespace": settings.namespace}, console)


async def _interruptible(work: Awaitable[Profile], plan: ProfilePlan) -> None:
    """Run `work`; at Ctrl-C or SIGTERM stop it in order and say how it goes on."""
    stop = StopRequest()
    running = asyncio.ensure_future(work)
    with stop.listening():
        await stop.or_end_of(running)
    if running.cancelled():
        kept = plan.output / profile_run.JOURNAL
        output.error_console().print(
            f"gshare: stopped; the trials done so far are in {kept}: the same command goes on there"
        )
        raise KeyboardInterrupt
