"""The GPUs of this node as the rest of the agent sees them, real or simulated alike.

An inventory knows its GPUs some time after `start`: nothing waits for a slow driver. Until then,
and where the driver does not answer, it has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gshare.annotations import NodeGpu

from . import nvml, simulated
from .edits import ContainerEdits
from .libraries import PodLibraries
from .nvidia_cdi import NvidiaDriver
from .nvml_inventory import NvmlInventory, WatchSettings


class Inventory(Protocol):
    """The GPUs of this node, with their health. Safe to use from any thread."""

    @property
    def window_us(self) -> int:
        """Return the token window: 40 ms, times the time scale where GPUs are simulated."""

    def gpus(self) -> tuple[NodeGpu, ...]:
        """Return the GPUs as they are now; none before the driver has answered once.

        A GPU that was seen stays in the list: lost, it is there and not healthy.
        """

    def edits(self, uuid: str, lease_id: str) -> ContainerEdits:
        """Return the driver's part of a container on one GPU: devices, libraries, hooks.

        GshareError with one line that names the cure where the node cannot say.
        """

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, from a thread of ours, after each change of `gpus()`."""

    def start(self) -> None:
        """Begin to look for GPUs and watch their health; returns at once."""

    def stop(self) -> None:
        """Stop watching."""


@dataclass(frozen=True, slots=True)
class InventorySettings:
    """Where an inventory finds its GPUs."""

    state: Path
    """The node's state directory; simulated GPUs and what is known of health lie there."""
    node_name: str
    """Simulated GPUs get their UUIDs from it, so that those of two nodes differ."""
    simulate: str | None = None
    """`v100` or `v100:2`: that many simulated GPUs in place of the real ones."""
    simulated_drivers: Path | None = None
    """The simulated drivers that the agent itself loads; None takes the pods' copies, which
    cannot be loaded from a state directory that is mounted noexec, as /run is."""
    time_scale: int = 1
    """How many times slower than real a simulated GPU and its token window are."""
    window_ms: int = 40
    """The token window at time scale 1."""
    cdi_folders: tuple[Path, ...] = (Path("/etc/cdi"), Path("/var/run/cdi"))
    """Where the node's NVIDIA CDI spec may lie; the last folder that has one counts, as in CDI."""
    quiet_s: float = 300
    """How long a GPU that failed must show no new fault before it is taken back."""
    store_bytes: int | None = None
    """What each GPU's model store takes for itself; None where the node has none."""


def open_inventory(settings: InventorySettings, libraries: PodLibraries) -> Inventory:
    """Return the node's inventory, simulated GPUs made or opened; GshareError if they cannot be."""
    watch = WatchSettings(
        settings.state,
        settings.window_ms * 1000 * settings.time_scale,
        settings.quiet_s,
        settings.store_bytes,
    )
    if settings.simulate is None:
        return NvmlInventory(NvidiaDriver(settings.cdi_folders), watch)
    folder = settings.state / "simgpu"
    drivers = settings.simulated_drivers or libraries.drivers
    node = simulated.make_or_open(
        folder, settings.simulate, settings.node_name, settings.time_scale, drivers
    )
    nvml.use_simulated(node)
    return NvmlInventory(simulated.SimulatedDriver(folder, libraries), watch)
