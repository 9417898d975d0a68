"""The command line: options in, one call into the module of the command out."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gshare import models, names, units
from gshare.errors import InputError
from gshare.models import ModelShare
from gshare.modes import MODES

from . import (
    converting,
    defragging,
    demo,
    gpu_options,
    observing,
    output,
    planning,
    profiling,
    render,
    run,
    up,
)
from .gpu_options import Gpus, ModelStore, Profile, Simulated, TimeScale, WindowMs
from .gpus import GpuSettings

app = typer.Typer(
    name="gshare",
    help="Rectangles of a GPU, so much space for so much time: for Deployments, on this machine "
    "or a cluster.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

Watching = Annotated[
    bool,
    typer.Option("--watch", help="Draw the GPUs live; replicas without room stay Pending."),
]
HowShared = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="HOW",
        help="How functions share a GPU: rect (default), or sliced, which packs more of them.",
    ),
]


@app.command("up")
def up_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Kubernetes YAML files.")],
    gpus: Gpus = None,
    profile: Profile = None,
    time_scale: TimeScale = None,
    simulated: Simulated = False,  # noqa: FBT002 (typer's form)
    window_ms: WindowMs = 40,
    grace: Annotated[
        float,
        typer.Option(metavar="S", help="At most this long between SIGTERM and SIGKILL."),
    ] = 5.0,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Stop S seconds after all are ready.")
    ] = None,
    ready_timeout: Annotated[
        float,
        typer.Option(metavar="S", help="With --duration: fail if not all are ready by then."),
    ] = 120.0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was delivered as JSON.")
    ] = None,
    watch: Watching = False,  # noqa: FBT002 (typer's form)
    mode: HowShared = None,
    model_store: ModelStore = None,
) -> None:
    """Run Deployments and Services from files until Ctrl-C.

    Each replica's command runs as a local process in its rectangle of a GPU; images are ignored. A
    declared containerPort becomes a free local port in PORT, a Service one local port over all
    ready replicas.
    """
    has_store = gpu_options.model_store(model_store)
    chosen = GpuSettings(simulated or None, gpus, profile, time_scale, _mode(mode), has_store)
    settings = gpu_options.settings(chosen, window_ms)
    _check_seconds({"--grace": grace, "--duration": duration, "--ready-timeout": ready_timeout})
    options = up.UpOptions(
        files=tuple(files),
        settings=replace(settings, longest_grace_s=grace),
        duration_s=duration,
        ready_timeout_s=ready_timeout,
        report=report,
        watch=watch,
    )
    asyncio.run(up.up(options, Console(), output.error_console()))


@app.command("run", context_settings={"allow_interspersed_args": False})
def run_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="What to run.")],
    sm: Annotated[int, typer.Option(metavar="%", help="Share of the SMs, 1-100.")],
    quota: Annotated[int, typer.Option(metavar="%", help="Guaranteed share of time, 1-100.")],
    quota_limit: Annotated[
        int, typer.Option(metavar="%", help="Share of time that it may borrow up to.")
    ] = 100,
    gpu_mem: Annotated[
        str | None, typer.Option(metavar="QTY", help="Memory cap, such as 1500Mi.")
    ] = None,
    gpus: Gpus = None,
    profile: Profile = None,
    time_scale: TimeScale = None,
    simulated: Simulated = False,  # noqa: FBT002 (typer's form)
    window_ms: WindowMs = 40,
    hook: Annotated[
        str,
        typer.Option(metavar="HOW", help="How its calls are held: by a preload, or a shim driver."),
    ] = names.HOOK_PRELOAD,
    mode: HowShared = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="KEY[=SIZE]", help="The model that it gets of the model store."),
    ] = None,
    model_store: ModelStore = None,
) -> None:
    """Run one command in its rectangle of a GPU; its exit code becomes ours."""
    has_store = gpu_options.model_store(model_store)
    chosen = GpuSettings(simulated or None, gpus, profile, time_scale, _mode(mode), has_store)
    options = run.RunOptions(
        command=tuple(command),
        sm_percent=_percent("--sm", sm),
        quota_request_percent=_percent("--quota", quota),
        quota_limit_percent=_limit(quota_limit, quota),
        memory_bytes=None if gpu_mem is None else _memory(gpu_mem),
        settings=gpu_options.settings(chosen, window_ms),
        hook=_hook(hook),
        model=None if model is None else _model(model),
    )
    raise typer.Exit(run.run(options, output.error_console()))


observing.register(app)
app.command("convert")(converting.convert_command)
app.command("defrag")(defragging.defrag_command)
app.command("demo")(demo.demo)
app.command("plan")(planning.plan_command)
app.command("profile")(profiling.profile_command)
app.command("render")(render.render_command)
app.command("version")(observing.version_command)


def _check_seconds(given: Mapping[str, float | None]) -> None:
    for option, value in given.items():
        if value is not None and not 0 <= value < math.inf:
            raise InputError("command line", option, value, "must be a number of seconds from 0")


def _mode(text: str | None) -> str | None:
    if text is not None and text not in MODES:
        raise InputError("command line", "--mode", text, f"must be {' or '.join(MODES)}")
    return text


def _percent(option: str, value: int) -> int:
    try:
        return units.whole_percent(value)
    except ValueError as error:
        raise InputError("command line", option, value, str(error)) from error


def _limit(limit: int, request: int) -> int:
    if _percent("--quota-limit", limit) < request:
        problem = f"must be at least the --quota, {request}"
        raise InputError("command line", "--quota-limit", limit, problem)
    return limit


def _hook(text: str) -> str:
    if text not in names.HOOKS:
        raise InputError("command line", "--hook", text, f"must be {' or '.join(names.HOOKS)}")
    return text


def _model(text: str) -> ModelShare:
    try:
        return models.parse(text)
    except ValueError as error:
        raise InputError("command line", "--model", text, str(error)) from error


def _memory(text: str) -> int:
    try:
        return units.memory_bytes(text)
    except ValueError as error:
        raise InputError("command line", "--gpu-mem", text, str(error)) from error
