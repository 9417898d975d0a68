"""What runs on this machine, read from the state directory without changing it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gshare import modes
from gshare.modes import Timetable
from gshare.runtime import layouts, tokend
from gshare.runtime.metering import Reading, with_shared
from gshare.runtime.state import LeaseRecord, RunRecord, StateDirectory

from . import gpus
from .gpus import LocalGpus
from .session import SessionSettings
from .views import GpuView


@dataclass(frozen=True, slots=True)
class Machine:
    """The live runs and the GPUs they share."""

    runs: tuple[RunRecord, ...]
    gpus: tuple[GpuView, ...]
    layouts: Mapping[str, Timetable]
    is_simulated: bool
    sources: LocalGpus | None
    state: StateDirectory

    def leases(self) -> list[tuple[RunRecord, LeaseRecord]]:
        """Return every live lease with its run."""
        return [(run, lease) for run in self.runs for lease in run.leases]

    def layout(self, uuid: str) -> Timetable:
        """Return a GPU's layout without leases that have ended."""
        live = {lease.lease_id for _, lease in self.leases()}
        written = self.layouts[uuid]
        sizes = {key: size for key, size in modes.sizes_of(written).items() if key in live}
        return modes.remaining(written, sizes)

    def stats(self, uuid: str) -> tokend.Stats | None:
        """Return what the token daemon of a GPU says; None if it does not answer."""
        return tokend.Control(self.state.gpu(uuid)).try_stats()

    def reading(self, gpu: GpuView, stats: tokend.Stats | None) -> Reading:
        """Return a GPU's counters: the simulator's, or the token daemon's on a real one."""
        own = self.sources.read(gpu.uuid) if self.sources else None
        return with_shared(own, stats) if own else gpus.metered(stats, gpu)


def look(settings: SessionSettings) -> Machine:
    """Return what runs now; nothing is made, also no state directory."""
    state = StateDirectory(settings.state_directory)
    nothing = Machine((), (), {}, is_simulated=False, sources=None, state=state)
    if not state.node.exists():
        return nothing
    with state.locked():
        node = gpus.NodeFile.read(state)
        runs = tuple(record for record, is_alive in state.records() if is_alive)
        if node is None or not runs:
            return nothing
        sources = gpus.open_gpus(state, node, settings.native)
        written = {gpu.uuid: layouts.read(state.gpu(gpu.uuid)) for gpu in sources.gpus}
    return Machine(runs, sources.gpus, written, node.simulated, sources, state)


def pid_of(run: RunRecord, lease: LeaseRecord) -> int | None:
    """Return the process that runs under a lease; None between a crash and the next start."""
    identity = run.process(lease.lease_id)
    return identity.pid if identity and identity.is_alive() else None
