"""What a reader of a report needs to repeat it."""

import subprocess
import sys
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

from . import host
from .host import Measured

_ROOT = Path(__file__).resolve().parents[1]


def of(module: str, measured: Collection[Measured[object]]) -> dict[str, object]:
    """Return the command, how busy others kept the host at worst, and versions."""
    return {
        "command": " ".join(["python -m", module, *sys.argv[1:]]),
        "host_busy_percent": round(
            max((each.host_busy_percent for each in measured), default=0.0), 1
        ),
        "runs_on_a_busy_host": sum(each.host_was_busy for each in measured),
        "quiet_host_percent": host.QUIET_PERCENT,
        "host_wake_up_us": round(host.wake_up_us(), 1),
        "versions": {"gshare": metadata.version("gshare"), "commit": _commit()},
    }


def _commit() -> str:
    """Return what git calls this state of the source, "unknown" outside a checkout."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
