"""A process of the cluster: started inside a machine, known again by pid and start time.

Nothing supervises it, and nothing here has to live on: its identity stands in a file, so that any
later Python process finds, kills or restarts it. A reused pid is never mistaken for it.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from gshare.runtime.processes import ProcessIdentity

from .errors import ClusterError
from .waiting import wait

ENV_CLUSTER: Final = "GSHARE_TEST_CLUSTER"
"""Marks every process of a cluster with its state directory."""

_PATIENCE_S: Final = 10.0
# The shell forks once inside the namespaces it entered: `$!` is the id that the host sees.
_LAUNCH: Final = 'log=$0; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the cluster."""

    name: str
    command: tuple[str, ...]
    log: Path
    record: Path
    """The file with its identity."""
    enter: Callable[[], tuple[str, ...]]
    """Gives the command that enters the machine it runs in."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.is_running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        launched = subprocess.run(
            [*self.enter(), "sh", "-c", _LAUNCH, str(self.log), *self.command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env=dict(self.environment),
        )
        if launched.returncode != 0:
            raise ClusterError(f"{self.name} did not start: {launched.stderr.decode().strip()}")
        identity = ProcessIdentity.of(int(launched.stdout))
        if identity is None:
            raise ClusterError(f"{self.name} ended at once: {self.last_words()}")
        _write(self.record, msgspec.json.encode(identity))

    @property
    def identity(self) -> ProcessIdentity | None:
        """Its pid and start time when it was last started; None if it never was."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=ProcessIdentity)
        except FileNotFoundError:
            return None

    @property
    def pid(self) -> int:
        """Its process id as the host sees it."""
        identity = self.identity
        if identity is None or not identity.is_alive():
            raise ClusterError(f"{self.name} does not run")
        return identity.pid

    @property
    def is_running(self) -> bool:
        """Whether the process that was last started still runs."""
        identity = self.identity
        return identity is not None and identity.is_alive()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, if it runs; after SIGKILL wait until it is gone."""
        identity = self.identity
        if identity is None or not identity.is_alive():
            return
        os.kill(identity.pid, number)
        if number == signal.SIGKILL:
            wait(lambda: _has_ended(identity), _PATIENCE_S, f"{self.name} is gone", 0.01)

    def stop(self, grace_s: float = _PATIENCE_S) -> None:
        """End it with SIGTERM, after `grace_s` with SIGKILL."""
        self.kill(signal.SIGTERM)
        try:
            wait(lambda: not self.is_running, grace_s, f"{self.name} ended", 0.01)
        except ClusterError:
            self.kill()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def last_words(self, lines: int = 15) -> str:
        """Return the end of its log."""
        try:
            said = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "it left no log"
        return "\n".join(said[-lines:])


def _has_ended(identity: ProcessIdentity) -> bool:
    """Tell whether no thread is left: the first may be gone while others still hold ports."""
    try:
        threads = list(Path(f"/proc/{identity.pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return True
    return len(threads) == 1 and not identity.is_alive()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
