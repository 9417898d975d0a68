"""Runs the `gshare` command; an error is one line on standard error and an exit code."""

import sys
from collections.abc import Callable

from gshare.errors import GshareError, InputError

from .app import app
from .observing import KUBECTL, kubectl_app
from .run import CommandError
from .session import DoesNotFitError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
"""By Ctrl-C before anything was started; afterwards `gshare up` stops in order and exits with 0."""


def main() -> None:
    """Run the command line."""
    _run(app)


def main_of_kubectl() -> None:
    """Run the command line as `kubectl gshare`, which kubectl finds as `kubectl-gshare`."""
    _run(kubectl_app, obj=KUBECTL, prog_name="kubectl gshare")


def _run(command_line: Callable[..., object], **settings: object) -> None:
    try:
        command_line(**settings)
    except CommandError as error:
        _end(error, error.exit_code)
    except (InputError, DoesNotFitError) as error:
        _end(error, EXIT_BAD_INPUT)
    except GshareError as error:
        _end(error, EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _end(error: GshareError, exit_code: int) -> None:
    sys.stderr.write("gshare: " + " ".join(str(error).split()) + "\n")
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
