"""Running a command to its end, with an error that shows what it said."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import ClusterError


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> str:
    """Run a command and return its standard output; ClusterError if it fails."""
    words = [str(word) for word in command]
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            words,
            input=b"" if given is None else given,
            capture_output=True,
            check=False,
            env=environment,
            timeout=timeout_s,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(words)}: no end after {timeout_s:g} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ClusterError(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout.decode(errors="replace")
