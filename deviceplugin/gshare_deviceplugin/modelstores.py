"""Supervises the model stores of a node: one `gshare-modelstore` for each GPU that wants one.

A GPU wants one while its folder has a budget, which the plugin writes (keeper.py). A store that was
killed is started again, empty: its clients keep what they have mapped, connect again, and the next
that asks loads anew. Two never serve one folder: a store holds its folder's lock, and a second one
ends at once and is tried again.
"""

import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gshare import names
from gshare.runtime import daemons, processes, stores
from gshare_simgpu import SimulatedNode

from . import supervising
from .asker import Asker
from .children import Children
from .mps_paths import MpsPaths

_POLL_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0
_GRACE_S: Final = 2.0
_ASK_EVERY_S: Final = 2.0
_PATIENCE_S: Final = 5.0
_LABEL: Final = "gshare-modelstore"
"""The account of stores in the simulator."""


@dataclass(frozen=True, slots=True)
class ModelStoreSettings:
    """How the model stores of a node run."""

    state: Path
    """The node's state directory; GPUs lie in its `gpus/`."""
    flags: tuple[str, ...] = ()
    """Passed on to each store as they are: its sharing, quotas."""
    simulated_drivers: Path | None = None
    """The folder of the simulated drivers on a node with simulated GPUs."""


def supervise(settings: ModelStoreSettings, stop: threading.Event) -> None:
    """Keep a store on every GPU folder with a budget until `stop`; then end them.

    Call from the main thread: a store dies with the thread that started it.
    """
    gpus = settings.state / "gpus"
    children = Children("modelstore", partial(_spawn, settings), _LONGEST_PAUSE_S, _GRACE_S)
    asker = Asker(lambda key: stores.answers(gpus / key, _PATIENCE_S), _ASK_EVERY_S)
    supervising.supervise(children, asker, partial(wanted, gpus), stop, _POLL_S)


def wanted(gpus: Path) -> tuple[str, ...]:
    """Return the GPU folders that want a store, by name."""
    return supervising.folders(gpus, stores.is_wanted)


def _spawn(settings: ModelStoreSettings, uuid: str) -> subprocess.Popen[bytes]:
    folder = settings.state / "gpus" / uuid
    return subprocess.Popen(
        [*daemons.store_command(folder), *settings.flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **_environment(settings, uuid)},
        preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
    )


def _environment(settings: ModelStoreSettings, uuid: str) -> Mapping[str, str]:
    """Return what puts a store on its GPU: that alone, as a client of its MPS control daemon.

    The folder is named whether a daemon serves there by now or not: a store makes its context with
    its first weights, and CUDA looks there then, doing without MPS where it finds none.
    """
    found = {
        names.ENV_VISIBLE_DEVICES: uuid,
        names.ENV_MPS_PIPE_DIRECTORY: str(MpsPaths(settings.state, uuid).pipe),
    }
    if settings.simulated_drivers is not None:
        node = SimulatedNode.open(settings.state / "simgpu", settings.simulated_drivers)
        found |= node.environment() | {names.ENV_SIMGPU_LABEL: _LABEL}
    return found
