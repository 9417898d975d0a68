"""Supervisors of the node agent as processes of their own, on a state directory for one test."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gshare.runtime import processes

ROOT = Path(__file__).resolve().parents[2]
_SUPERVISE = """
import logging, signal, threading
from pathlib import Path
from gshare_deviceplugin import {module}
logging.basicConfig(level=logging.INFO, format="%(message)s")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
{module}.supervise({settings}, stop)
"""


@contextmanager
def supervisor(module: str, settings: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `gshare_deviceplugin.<module>.supervise` with `settings`, an expression; end it after."""
    code = _SUPERVISE.format(module=module, settings=settings)
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def children_of(pid: int) -> list[int]:
    """Return the children of a process, by the kernel's word."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
