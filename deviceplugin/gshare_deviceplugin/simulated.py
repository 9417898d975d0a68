"""Simulated GPUs of a node: made once in STATE/simgpu, and what a container needs to use them."""

from pathlib import Path
from typing import Final

import gshare_simgpu
from gshare import names
from gshare.errors import GshareError, InputError
from gshare_simgpu import SimulatedNode, Topology

from .edits import ContainerEdits, Mount
from .libraries import CONTAINER_ROOT, PodLibraries
from .nvml import Device

CONTAINER_STATE: Final = "/run/gshare/simgpu"
CONTAINER_DRIVERS: Final = f"{CONTAINER_ROOT}/simgpu"
_TOPOLOGY: Final = "topology"


class SimulatedDriver:
    """The simulated driver, as a container sees it."""

    is_simulated: Final = True

    def __init__(self, state: Path, libraries: PodLibraries) -> None:
        """Take the folder of the GPUs' state, and the version of the drivers to load."""
        self._state = state
        self._libraries = libraries

    def edits(self, device: Device, lease_id: str) -> ContainerEdits:
        """Return drivers and state files; all GPUs are there, as all are in a real driver's NVML.

        The folder is read-only, so that no container can remove or replace what all others use.
        """
        del device  # CUDA_VISIBLE_DEVICES names it
        env = (
            (names.ENV_SIMGPU_DIR, CONTAINER_STATE),
            (names.ENV_SIMGPU_LABEL, lease_id),
            ("LD_LIBRARY_PATH", CONTAINER_DRIVERS),
        )
        written = sorted(file for file in self._state.iterdir() if file.name != _TOPOLOGY)
        mounts = (
            Mount.executable(self._libraries.drivers, CONTAINER_DRIVERS),
            Mount.read_only(self._state, CONTAINER_STATE),
            *(Mount.read_write(file, f"{CONTAINER_STATE}/{file.name}") for file in written),
        )
        return ContainerEdits(env, mounts)


def make_or_open(
    folder: Path, asked: str, node_name: str, time_scale: int, drivers: Path
) -> SimulatedNode:
    """Return the simulated GPUs that `asked` names, made now unless an earlier start did.

    GshareError where the folder holds others: containers may be using them.
    """
    topology = _topology(asked, node_name, time_scale)
    if (folder / _TOPOLOGY).exists() and not any(folder.glob("gpu-*.state")):
        (folder / _TOPOLOGY).unlink()  # an earlier start was killed here
    if not (folder / _TOPOLOGY).exists():
        return SimulatedNode.create(folder, topology, drivers)
    if (folder / _TOPOLOGY).read_text() != topology.lines():
        raise GshareError(
            f"{folder} holds other simulated GPUs than {asked!r} at time scale {time_scale}: "
            "remove it when no container uses it, or start with what it was made with"
        )
    return SimulatedNode.open(folder, drivers)


def _topology(asked: str, node_name: str, time_scale: int) -> Topology:
    """Return what `v100` or `v100:2` names."""
    profile, _, number = asked.partition(":")
    if profile not in gshare_simgpu.profiles():
        known = ", ".join(gshare_simgpu.profiles())
        raise InputError("command line", "--simulate", asked, f"must be [{known}][:COUNT]")
    if number and not number.isdecimal():
        raise InputError("command line", "--simulate", asked, "must be PROFILE or PROFILE:COUNT")
    return Topology.uniform(profile, int(number or 1), time_scale, node=node_name)
