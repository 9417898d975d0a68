"""The GPUs of this machine: simulated ones here, real ones in `nvml.py`, behind one protocol."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import gshare_simgpu
from gshare import names
from gshare.errors import GshareError, InputError
from gshare.modes import RECT
from gshare.runtime import stores, tokend
from gshare.runtime.metering import Delivered, Reading, by_daemon
from gshare.runtime.native import Native
from gshare.runtime.state import StateDirectory, write_atomically

from .nvml import NvmlGpus
from .views import GpuView

DEFAULT_PROFILE: Final = "v100"


@dataclass(frozen=True, slots=True)
class GpuSettings:
    """Which GPUs to use. None means: what is there, or what another run has made."""

    simulated: bool | None = None
    """True makes GPUs even where real ones are; None makes them only where there are none."""
    count: int | None = None
    """How many; default all real ones, or 1 simulated one."""
    profile: str | None = None
    """The simulated GPU's model; default v100."""
    time_scale: int | None = None
    """How many times slower than real a simulated GPU and its token window are; default 1."""
    mode: str | None = None
    """How functions share a GPU, a key of `modes.MODES`; default rect."""
    model_store: bool | None = None
    """Whether GPUs keep announced models once for all replicas; default where that is installed."""

    @property
    def asks_for_simulation(self) -> bool:
        """Tell whether a value was given that makes sense on a simulated GPU alone."""
        return self.simulated is True or self.profile is not None or self.time_scale is not None


@dataclass(frozen=True, slots=True)
class NodeFile:
    """Which GPUs the live runs use, as STATE/node.json says."""

    simulated: bool
    count: int
    profile: str
    time_scale: int
    window_us: int
    mode: str = RECT.name
    model_store: bool = False

    def write(self, state: StateDirectory) -> None:
        """Write it for the runs that come next."""
        raw = {name: getattr(self, name) for name in self.__slots__}
        write_atomically(state.node, json.dumps(raw))

    @classmethod
    def read(cls, state: StateDirectory) -> "NodeFile | None":
        """Return what the first live run wrote; None if there is none."""
        try:
            raw: dict[str, Any] = json.loads(state.node.read_text())
        except FileNotFoundError:
            return None
        return cls(**raw)


class LocalGpus(Protocol):
    """GPUs that processes on this machine can use."""

    @property
    def is_simulated(self) -> bool:
        """Tell whether product code stands in for the GPUs."""

    @property
    def gpus(self) -> tuple[GpuView, ...]:
        """Return the GPUs."""

    def environment(self, lease_id: str) -> dict[str, str]:
        """Return what a process under a lease needs in its environment to reach them."""

    def read(self, uuid: str) -> Reading | None:
        """Return one GPU's counters; None where only the token daemon has some."""


class SimulatedGpus:
    """GPUs made by `gshare_simgpu`, shared by all runs."""

    def __init__(self, node: gshare_simgpu.SimulatedNode) -> None:
        self._node = node
        self.is_simulated = True
        self.gpus = tuple(
            GpuView(gpu.index, gpu.uuid, gpu.name, gpu.sm_count, gpu.memory_bytes)
            for gpu in node.gpus
        )

    def environment(self, lease_id: str) -> dict[str, str]:
        """Point a process at the simulated driver, and name its account."""
        return {**self._node.environment(), names.ENV_SIMGPU_LABEL: lease_id}

    def read(self, uuid: str) -> Reading:
        """Return the simulator's own counters, which know nothing of hook and daemon."""
        counters = self._node.counters(uuid)
        leases = {
            account.label: Delivered(account.busy_ns, account.memory_bytes)
            for account in counters.accounts
        }
        return Reading(counters.now_ns, counters.busy_ns, counters.sm_time_ns, leases)


def settle(state: StateDirectory, settings: GpuSettings, window_ms: int) -> NodeFile:
    """Return which GPUs to use, and write it for others. Call with the state's lock held.

    GshareError where live runs use others than `settings` ask for.
    """
    running = NodeFile.read(state)
    if running is not None:
        _check_alike(running, settings)
        return running
    mode, has_store = settings.mode or RECT.name, _has_store(settings.model_store)
    found = None if settings.simulated else NvmlGpus.find()
    if found is not None and not settings.asks_for_simulation:
        count = _count_of_real(len(found.gpus), settings.count)
        node = NodeFile(False, count, "", 1, window_ms * 1000, mode, has_store)  # noqa: FBT003
    else:
        scale = _within("--time-scale", settings.time_scale or 1, gshare_simgpu.MAX_TIME_SCALE)
        _within("--gpus", settings.count or 1, gshare_simgpu.MAX_GPUS)
        profile = _known(settings.profile or DEFAULT_PROFILE)
        window_us = window_ms * scale * 1000
        count = settings.count or 1
        node = NodeFile(True, count, profile, scale, window_us, mode, has_store)  # noqa: FBT003
    node.write(state)
    return node


def _has_store(asked: bool | None) -> bool:  # noqa: FBT001 (a setting's value)
    """Tell whether GPUs have model stores; GshareError where one is asked for and not installed."""
    is_installed = stores.is_installed()
    if asked and not is_installed:
        raise GshareError(
            "--model-store on: cuda-bindings is not installed: pip install 'gshare[modelstore]'"
        )
    return is_installed if asked is None else asked


def _within(option: str, value: int, most: int) -> int:
    if value > most:
        raise InputError("command line", option, value, f"must be at most {most} when simulated")
    return value


def open_gpus(state: StateDirectory, node: NodeFile, native: Native) -> LocalGpus:
    """Open the GPUs of `node`, making simulated ones if need be. Call with the lock held."""
    if not node.simulated:
        found = NvmlGpus.find()
        if found is None:
            raise GshareError("the GPUs that other runs use are gone: NVML finds none")
        found.require_mps(os.environ)
        return found.first(node.count)
    return SimulatedGpus(_simulated_node(state.simgpu, node, native))


def _simulated_node(folder: Path, node: NodeFile, native: Native) -> gshare_simgpu.SimulatedNode:
    if folder.exists():
        return gshare_simgpu.SimulatedNode.open(folder, native.simgpu)
    topology = gshare_simgpu.Topology.uniform(
        node.profile, count=node.count, time_scale=node.time_scale, mps=True
    )
    return gshare_simgpu.SimulatedNode.create(folder, topology, native.simgpu)


def _check_alike(running: NodeFile, settings: GpuSettings) -> None:
    asked = {
        "simulated": settings.simulated,
        "count": settings.count,
        "profile": settings.profile,
        "time_scale": settings.time_scale,
        "mode": settings.mode,
        "model_store": settings.model_store,
    }
    for name, value in asked.items():
        used = getattr(running, name)
        if value is not None and value != used:
            raise GshareError(
                f"other runs on this machine use GPUs with {name} {used}, and {value} was asked "
                "for: stop them first, or set GSHARE_STATE_DIR to another directory"
            )


def _known(profile: str) -> str:
    if profile not in gshare_simgpu.profiles():
        known = ", ".join(gshare_simgpu.profiles())
        raise InputError("command line", "--profile", profile, f"must be one of {known}")
    return profile


def _count_of_real(found: int, asked: int | None) -> int:
    if asked is not None and asked > found:
        raise GshareError(f"--gpus {asked}: this machine has {found}; --simulated makes more")
    return asked or found


def metered(stats: tokend.Stats | None, gpu: GpuView) -> Reading:
    """Return a real GPU's counters as the token daemon meters them; zero while it is away."""
    if stats is None:
        return Reading(time.monotonic_ns(), 0, 0)
    return by_daemon(stats, gpu.sm_count)
