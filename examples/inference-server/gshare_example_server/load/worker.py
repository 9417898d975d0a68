"""A load run as a process: Locust changes the standard library under it (gevent), so it is alone.

with Load([Target("resnet", "http://127.0.0.1:8000/infer", users=8)]) as load:
...
"""

import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from .targets import Target


class Load:
    """Keeps targets under load while the `with` block runs."""

    def __init__(self, targets: Iterable[Target], *options: str) -> None:
        """`options` go to the load's command line, as `--report FILE` or `--seconds S`."""
        described = [word for target in targets for word in ("--target", str(target))]
        self._command = [
            *(sys.executable, "-m", __package__ or "", "--end-with-parent"),
            *described,
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the load."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the load."""
        self.stop()

    @property
    def is_running(self) -> bool:
        """True while the load's process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_seconds: float = 10) -> None:
        """End the load: requests in flight are abandoned, the report is written."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
