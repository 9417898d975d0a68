"""`gshare convert`: FaSTPods of FaST-GShare become Deployments."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gshare import rendering

from . import output, writing

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there instead of printing."),
]


def convert_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="YAML files that hold FaSTPods.")
    ],
    to: Output = None,
) -> None:
    """Turn FaSTPods of FaST-GShare into Deployments; all other objects stay as they are.

    Annotations fastgshare/* and faasshare/* become limits and annotations of gshare. What is left
    out or rounded is said on standard error.
    """
    converted = [rendering.convert(str(file), writing.read(file)) for file in files]
    objects = [each for part in converted for each in part.objects]
    writing.write(rendering.write(objects), to, Console())
    err = output.error_console()
    for part in converted:
        for note in part.notes:
            err.print(f"gshare: {note}", markup=False)
