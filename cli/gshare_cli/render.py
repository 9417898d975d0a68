"""`gshare render`: from one Deployment, those of its function's shapes with all that they need."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gshare import profile, rendering, scaling, units
from gshare.rendering import Aim, Bundle, Template

from . import output, rendering_options, writing
from .converting import Output

ProfileFile = Annotated[
    Path | None,
    typer.Option("--profile", metavar="FILE", help="The function's profile, as JSON."),
]
Rate = Annotated[
    str | None,
    typer.Option("--rate", metavar="LOW:HIGH", help="Between which requests/s it is used."),
]
Slo = Annotated[
    str | None,
    typer.Option(
        "--slo", metavar="TIME", help="Objective for p99, such as 69ms; default: the profile's."
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="SMxQUOTA", help="A shape to use, such as 12x40; repeat it."),
]
Peak = Annotated[
    float | None,
    typer.Option("--peak", metavar="RPS", help="Size quota limits for bursts of so much."),
]


def render_command(  # noqa: PLR0913, PLR0917 (one parameter an option)
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML that holds a Deployment.")],
    profile_file: ProfileFile = None,
    rate: Rate = None,
    slo: Slo = None,
    shape: Shapes = None,
    peak: Peak = None,
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="How mixes are planned: exact, rpr.")
    ] = scaling.EXACT,
    shapes: Annotated[
        int, typer.Option("--shapes", metavar="N", help="At most so many Deployments.")
    ] = rendering.USUAL_SHAPES,
    keep: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="What stays at no load: one replica (default), none, or one of each shape "
            "(before Kubernetes 1.37: HPAs that go to zero).",
        ),
    ] = "one",
    most_replicas: Annotated[
        int | None, typer.Option("--max-replicas", metavar="N", help="Upper bound of each HPA.")
    ] = None,
    deployment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which Deployment, where FILE has several.")
    ] = None,
    to: Output = None,
) -> None:
    """Write the Deployments and HPAs of a function that gshare scales, and what they need.

    With a profile and a range of rates the shapes are those that serve it cheapest; --shape names
    them instead. All other objects of FILE stay as they are.
    """
    load = rendering_options.load(rate)
    aim = Aim(
        rendering_options.shapes(shape or ()),
        load,
        rendering_options.slo_ms(slo),
        rendering_options.policy(policy),
        rendering_options.at_least_one("--shapes", shapes) or rendering.USUAL_SHAPES,
        rendering_options.keep(keep),
        rendering_options.at_least_one("--max-replicas", most_replicas),
        rendering_options.peak(peak, load),
    )
    rendering_options.check(aim, has_profile=profile_file is not None)
    template = rendering.read_template(str(file), writing.read(file), deployment)
    found = None
    if profile_file is not None:
        found = profile.read(writing.read(profile_file), str(profile_file))
    bundle = rendering.bundle(template, found, aim)
    writing.write(rendering.write(bundle.objects), to, Console())
    _explain(template, bundle, output.error_console())


def _explain(template: Template, bundle: Bundle, err: Console) -> None:
    """Say on standard error what was chosen, and what the user should look at."""
    for line in (*_lines(bundle), *_warnings(template, bundle)):
        err.print(f"gshare: {line}", markup=False)


def _lines(bundle: Bundle) -> list[str]:
    chosen = bundle.chosen
    if chosen is None:
        return []
    lines = [
        f"{written.name}: {option.throughput_rps:.1f} req/s a replica, p99 {option.p99_ms:.0f} ms, "
        f"{option.cost:.3f} GPUs ({option.origin}); {written.least} to {written.most} replicas"
        for option, written in zip(chosen.options, bundle.written, strict=True)
    ]
    if chosen.cost is not None and chosen.cost_of_all is not None:
        lines.append(
            f"{chosen.cost:.3f} GPUs on average over these rates; {chosen.cost_of_all:.3f} with "
            "every shape of the profile"
        )
    return lines


def _warnings(template: Template, bundle: Bundle) -> list[str]:
    if template.memory_bytes is None or bundle.peak_memory_bytes <= template.memory_bytes:
        return []
    own, peak = (
        units.memory_text(each) for each in (template.memory_bytes, bundle.peak_memory_bytes)
    )
    return [f"its replicas may use {own} of GPU memory, and used {peak} when they were profiled"]
