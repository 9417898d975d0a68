"""Entry point: `python -m gshare_profiler.load PLAN URL`, as `plan.arguments` writes it."""

import os
import sys
from typing import Final

from .drive import Drive, LoadFailedError
from .plan import Figures, Phase, line_of, read_plan

_ARGUMENTS: Final = 3


def _say(said: Phase | Figures) -> None:
    print(line_of(said), flush=True)  # noqa: T201


def main() -> None:
    """Run the load; the exit code is 0 also where requests failed, since the figures say so."""
    if len(sys.argv) != _ARGUMENTS:
        sys.exit("gshare-profiler-load PLAN URL: is started by `gshare profile`")
    plan, url = read_plan(sys.argv[1]), sys.argv[2]
    drive = Drive(url, plan.request, plan.settings.users)
    try:
        figures = drive.run(plan, _say)
    except (LoadFailedError, ValueError) as error:
        figures = Figures(failure=" ".join(str(error).split()))
    _say(figures)
    os._exit(0)  # nothing is left to tidy up, and Locust's users would take seconds to end


if __name__ == "__main__":
    main()
