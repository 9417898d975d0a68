"""Saturated clients of the token daemon in processes of their own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(lease: Path, seconds: float = 20) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client that takes every token of the lease and uses it up."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fake_client", str(lease), str(seconds)], cwd=_ROOT
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
