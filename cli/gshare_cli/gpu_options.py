"""The options by which several commands choose this machine's GPUs."""

from typing import Annotated, Final

import typer

from gshare.errors import InputError

from .gpus import GpuSettings
from .session import SessionSettings

LONGEST_WINDOW_MS: Final = 10_000

Gpus = Annotated[
    int | None,
    typer.Option("--gpus", metavar="N", help="How many GPUs: the first N real ones, or simulated."),
]
Profile = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Simulate this model: v100 (default), a100, h100."),
]
TimeScale = Annotated[
    int | None,
    typer.Option(metavar="N", help="Simulate GPUs N times slower than real, token window too."),
]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="Simulate GPUs even where real ones are.")
]
WindowMs = Annotated[
    int, typer.Option("--window-ms", metavar="MS", help="Window over which quota is counted.")
]

ModelStore = Annotated[
    str | None,
    typer.Option(
        "--model-store",
        metavar="on|off",
        help="Keep announced models once on each GPU for all replicas (default: if installed).",
    ),
]


def settings(chosen: GpuSettings, window_ms: int) -> SessionSettings:
    """Return the settings of a session on the GPUs chosen; InputError where a value is wrong."""
    given = {
        "--gpus": chosen.count,
        "--time-scale": chosen.time_scale,
        "--window-ms": window_ms,
    }
    for option, value in given.items():
        if value is not None and value < 1:
            raise InputError("command line", option, value, "must be at least 1")
    if window_ms * (chosen.time_scale or 1) > LONGEST_WINDOW_MS:
        problem = f"must be at most {LONGEST_WINDOW_MS} with the time scale"
        raise InputError("command line", "--window-ms", window_ms, problem)
    return SessionSettings(gpus=chosen, window_ms=window_ms)


def model_store(text: str | None) -> bool | None:
    """Return what `--model-store` says; InputError where it says something else."""
    known = {None: None, "on": True, "off": False}
    if text not in known:
        raise InputError("command line", "--model-store", text, "must be on or off")
    return known[text]
