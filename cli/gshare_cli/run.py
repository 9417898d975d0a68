"""`gshare run`: one command in its rectangle of a GPU, in the foreground, as if started directly.

The command shares our terminal, process group and streams. A signal from the keyboard reaches it
from the kernel; one that somebody sends to us is passed on. Signals are waited for, not handled:
that tells who sent them, and needs no thread.
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from gshare import names
from gshare.errors import GshareError, InputError
from gshare.models import ModelShare
from gshare.runtime import processes
from gshare.runtime.local_node import Demand
from gshare.units import memory_text

from .node import Node
from .session import SessionSettings

KEEP_PERIOD_S: Final = 0.5
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_PASSED_ON: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_WAITED_FOR: Final = frozenset((*_PASSED_ON, signal.SIGCHLD))
_SENT_BY_KERNEL: Final = 0x80  # SI_KERNEL, as for Ctrl-C: the whole group has it already


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for."""

    command: tuple[str, ...]
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int | None
    settings: SessionSettings
    hook: str = names.HOOK_PRELOAD
    model: ModelShare | None = None
    """What it announces to the GPU's model store."""

    @property
    def demand(self) -> Demand:
        """Return what the command asks of the node; it is called after its program."""
        name = Path(self.command[0]).name
        return Demand(
            replica=f"run-{name}",
            function=name,
            sm_percent=self.sm_percent,
            quota_request_percent=self.quota_request_percent,
            quota_limit_percent=self.quota_limit_percent,
            memory_bytes=self.memory_bytes,
            model=self.model,
        )


def run(options: RunOptions, err: Console) -> int:
    """Run the command and return its exit code; 128 + number if a signal ended it.

    InputError if no GPU has room or so much memory.
    """
    settings = options.settings
    run_id = f"run-{os.getpid()}-{secrets.token_hex(4)}"
    node = Node.open(
        settings.state_directory, run_id, settings.gpus, settings.window_ms, settings.native
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        env = _admit(node, options, err)
        return _follow(options.command, env, before, node)
    finally:
        node.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _admit(node: Node, options: RunOptions, err: Console) -> dict[str, str]:
    """Return the command's environment, under a lease of its own."""
    largest = max(gpu.memory_bytes for gpu in node.gpus)
    asked = options.memory_bytes
    if asked is not None and asked > largest:
        raise InputError(
            "command line",
            "--gpu-mem",
            memory_text(asked),
            f"is more than the {memory_text(largest)} of the largest GPU here",
        )
    admission = node.admit([options.demand], whole=True)
    if admission.refused:
        rectangle = f"{options.sm_percent} x {options.quota_request_percent}"
        raise InputError("command line", "--sm x --quota", rectangle, admission.refused[0].text)
    if admission.trouble:
        err.print(f"gshare: {admission.trouble}")
    if node.is_simulated:
        err.print(f"gshare: simulated GPU {node.gpus[0].name}, time scale {node.time_scale}")
    lease = admission.leases[0]
    return {**os.environ, **node.environment(lease, options.hook)}


def _follow(
    command: Sequence[str], env: dict[str, str], mask: set[int | signal.Signals], node: Node
) -> int:
    lease_id = node.leases[0].lease_id
    try:
        child = subprocess.Popen(command, env=env, preexec_fn=_before_exec(mask))  # noqa: PLW1509 (we have no threads)
    except FileNotFoundError:
        raise CommandError(f"{command[0]}: command not found", NOT_FOUND) from None
    except OSError as error:
        raise CommandError(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE) from error
    node.started(lease_id, child.pid)
    while child.poll() is None:
        info = signal.sigtimedwait(_WAITED_FOR, KEEP_PERIOD_S)
        if info is None:
            node.keep()
        elif info.si_signo != signal.SIGCHLD and info.si_code != _SENT_BY_KERNEL:
            processes.send(child.pid, info.si_signo)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


class CommandError(GshareError):
    """The command could not be started; `exit_code` is what a shell would return."""

    def __init__(self, text: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(text)


def _before_exec(mask: set[int | signal.Signals]) -> Callable[[], None]:
    die_with_parent = processes.die_with_parent()

    def between_fork_and_exec() -> None:
        die_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return between_fork_and_exec
