"""`gshare plan`: which shapes and how many of each serve a rate, by each policy, side by side."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gshare import profile as profiles
from gshare import scaling
from gshare.scaling import Shape

from . import plan_view, rendering_options, writing
from .plan_answer import Question, answers


def plan_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    profile_file: Annotated[
        Path, typer.Option("--profile", metavar="FILE", help="The function's profile, as JSON.")
    ],
    rate: Annotated[float, typer.Option(metavar="RPS", help="Requests per second to serve.")],
    slo: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Objective for p99, such as 69ms; default: profile's."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="exact or rpr; default: both, side by side."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="SMxQUOTA", help="Only of these shapes, such as 12x40; repeat it."),
    ] = None,
    running: Annotated[
        list[str] | None,
        typer.Option(metavar="SMxQUOTA:N", help="What runs already, such as 12x40:3; repeat it."),
    ] = None,
    headroom: Annotated[
        float,
        typer.Option(metavar="TIMES", help="Plan for so many times the rate; 1.25 is 80 % load."),
    ] = 1.0,
    peak: Annotated[
        float | None,
        typer.Option(metavar="RPS", help="Size quota limits for bursts of so much."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Say which shapes of a function, and how many replicas of each, serve a rate cheapest.

    Only shapes whose p99 keeps the objective count. A replica costs the larger of its parts of a
    GPU's area (SM x quota) and of its memory.
    """
    policies = [rendering_options.policy(name) for name in policy or scaling.POLICIES]
    least = _number("--rate", rate, 0.0)
    found = profiles.read(writing.read(profile_file), str(profile_file))
    question = Question(
        found,
        least,
        least * _number("--headroom", headroom, 1.0),
        rendering_options.slo_ms(slo) or found.slo_ms,
        None if peak is None else _number("--peak", peak, least),
        rendering_options.shapes(shape or ()),
        _running(running or ()),
    )
    plan_view.show(question, answers(question, policies), Console(), as_json=as_json)


def _number(option: str, value: float, least: float) -> float:
    if not least <= value < math.inf:
        raise rendering_options.refuse(option, value, f"must be a number from {least:g}")
    return value


def _running(texts: Sequence[str]) -> dict[Shape, int]:
    found: dict[Shape, int] = {}
    for text in texts:
        shape, _, count = text.partition(":")
        if not count.isascii() or not count.isdecimal():
            problem = "must be a shape and how many run, such as 12x40:3"
            raise rendering_options.refuse("--running", text, problem)
        found[rendering_options.shape("--running", shape)] = int(count)
    return found
