"""One GPU's MPS control daemon, asked through NVIDIA's own front end, `nvidia-cuda-mps-control`."""

import os
import subprocess
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError

from .mps_paths import MpsPaths

PROGRAM: Final = "nvidia-cuda-mps-control"
_TIMEOUT_S: Final = 5.0


class MpsError(GshareError):
    """A control daemon does not answer, or did not do what it was asked."""


class MpsControl:
    """The front end to one GPU's control daemon."""

    def __init__(self, paths: MpsPaths) -> None:
        self._paths = paths

    def answers(self) -> bool:
        """Tell whether the daemon answers."""
        try:
            self._ask("get_server_list")
        except MpsError:
            return False
        return True

    def clients(self) -> tuple[tuple[int, int], ...]:
        """Return every client as (server, client), by process id; MpsError where it is not told."""
        return tuple(
            (server, client)
            for server in process_ids(self._ask("get_server_list"))
            for client in process_ids(self._ask(f"get_client_list {server}"))
        )

    def terminate(self, server: int, client: int) -> None:
        """End a client's work on the GPU, so that it may be killed; MpsError where it cannot be."""
        said = self._ask(f"terminate_client {server} {client}")
        if not is_done(said):
            raise MpsError(f"terminate_client {server} {client}: {' '.join(said.split())}")

    def quit(self) -> None:
        """Have the daemon end with all its servers, whatever their clients do."""
        self._ask("quit -t 1")

    def _ask(self, command: str) -> str:
        """Return what the daemon says to one command."""
        try:
            done = subprocess.run(
                [PROGRAM],
                input=f"{command}\n",
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                env=environment(self._paths),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MpsError(f"{PROGRAM}: {command}: {error}") from error
        if done.returncode != 0:
            said = " ".join((done.stdout + done.stderr).split())
            raise MpsError(f"{PROGRAM}: {command}: {said or done.returncode}")
        return done.stdout


def environment(paths: MpsPaths) -> dict[str, str]:
    """Return what daemon and front end need to find each other, and which GPU is meant."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        names.ENV_MPS_PIPE_DIRECTORY: str(paths.pipe),
        "CUDA_MPS_LOG_DIRECTORY": str(paths.log),
        names.ENV_VISIBLE_DEVICES: paths.uuid,
    }


def process_ids(said: str) -> tuple[int, ...]:
    """Return the process ids that an answer lists, one a line; other lines are messages."""
    return tuple(int(line) for line in said.split("\n") if line.strip().isdecimal())


def is_done(said: str) -> bool:
    """Tell whether `terminate_client` did it: it closes with a status, and complains before."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return all(line == "0" for line in lines)


def is_installed() -> bool:
    """Tell whether NVIDIA's control daemon is there."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(Path(folder) / PROGRAM, os.X_OK) for folder in folders)
