"""This process's run on the local node: opened under the lock, closed maybe as the last one out."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gshare import names, placement
from gshare.modes import MODES, Timetable
from gshare.runtime import local_node, processes, stores, tokend
from gshare.runtime.daemons import LocalDaemons, ModelStores, TokenDaemons
from gshare.runtime.local_node import Admission, Demand, LocalNode
from gshare.runtime.metering import Delivered
from gshare.runtime.native import Native
from gshare.runtime.state import LeaseRecord, Run, StateDirectory

from . import gpus, hooking, ports, usage
from .gpus import GpuSettings, LocalGpus, NodeFile
from .views import GpuView

_STORE: Final = "gshare-modelstore"
"""The account of model stores in the simulator."""


class Node:
    """What a session needs of the machine: GPUs, leases, counters, ports, environment."""

    def __init__(
        self,
        state: StateDirectory,
        run: Run,
        node: NodeFile,
        local_gpus: LocalGpus,
        native: Native,
    ) -> None:
        self._state = state
        self._run = run
        self._file = node
        self._gpus = local_gpus
        self._native = native
        self._most_concurrent: dict[str, int] = {}
        self._local = LocalNode(
            state,
            run,
            [_offered(gpu, has_store=node.model_store) for gpu in local_gpus.gpus],
            LocalDaemons(
                TokenDaemons(native.tokend, node.window_us),
                ModelStores(local_gpus.environment(_STORE)) if node.model_store else None,
            ),
            node.window_us,
            MODES[node.mode],
        )

    @classmethod
    def open(
        cls,
        root: Path,
        run_id: str,
        settings: GpuSettings,
        window_ms: int,
        native: Native,
    ) -> "Node":
        """Clean up after dead runs, open the GPUs, and begin a run of our own."""
        state = StateDirectory(root)
        with state.locked():
            alone = local_node.sweep(state) == 0
            try:
                file = gpus.settle(state, settings, window_ms)
                local_gpus = gpus.open_gpus(state, file, native)
                run = Run(state, run_id)
            except BaseException:
                if alone:
                    state.remove()
                raise
        return cls(state, run, file, local_gpus, native)

    def close(self) -> None:
        """End our run and what is left of it; the last one out removes the GPUs and the state."""
        processes.end_run(self._run.record.run_id)
        if self.leases:
            self.release([lease.lease_id for lease in self.leases])
        with self._state.locked():
            self._run.close()
            if local_node.sweep(self._state) == 0:
                self._state.remove()

    @property
    def is_simulated(self) -> bool:
        """Tell whether the GPUs are simulated ones."""
        return self._gpus.is_simulated

    @property
    def time_scale(self) -> int:
        """Return how many times slower than real the GPUs are."""
        return self._file.time_scale

    @property
    def window_us(self) -> int:
        """Return the token window."""
        return self._file.window_us

    @property
    def gpus(self) -> tuple[GpuView, ...]:
        """Return the GPUs."""
        return self._gpus.gpus

    @property
    def leases(self) -> tuple[LeaseRecord, ...]:
        """Return our run's leases."""
        return self._local.held

    def admit(self, demands: Sequence[Demand], *, whole: bool) -> Admission:
        """Place demands and make their leases; with `whole` all of them or none."""
        return self._local.admit(demands, whole=whole)

    def release(self, lease_ids: Iterable[str]) -> None:
        """Give leases back, after their processes have ended."""
        self._local.release(lease_ids)

    def keep(self) -> str:
        """Start daemons again where they died; return in one line what a model store lacks."""
        return self._local.keep()

    def started(self, lease_id: str, pid: int | None) -> None:
        """Record the process that runs under a lease now."""
        self._local.started(lease_id, pid)

    def layouts(self) -> dict[str, Timetable]:
        """Return every GPU's layout, by UUID."""
        return self._local.layouts()

    def lease_folder(self, lease: LeaseRecord) -> Path:
        """Return the folder of a lease."""
        return self._local.lease_folder(lease)

    def take_ports(self, count: int) -> tuple[int, ...]:
        """Return free local ports that no replica of any run has."""
        if not count:
            return ()
        with self._state.locked():
            taken = {port for record, _ in self._state.records() for port in record.ports}
            found = ports.free(count, taken)
            self._run.take_ports(found)
        return found

    def environment(self, lease: LeaseRecord, hook: str) -> dict[str, str]:
        """Return the variables that put a process under its lease, on its GPU.

        `hook` is how its calls reach the hook (names.HOOKS).
        """
        paths = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        given = self._gpus.environment(lease.lease_id)
        return {
            **given,
            **hooking.environment(hook, self._native, given, is_simulated=self.is_simulated),
            "PATH": os.pathsep.join(paths),
            names.ENV_LEASE_DIR: str(self.lease_folder(lease)),
            names.ENV_VISIBLE_DEVICES: lease.gpu_uuid,
            names.ENV_MPS_PERCENTAGE: str(lease.sm_percent),
            names.ENV_RUN_ID: self._run.record.run_id,
        }

    def snapshot(self) -> usage.Snapshot:
        """Return the counters of the GPUs that our leases are on."""
        used = {lease.gpu_uuid for lease in self.leases}
        return usage.Snapshot(tuple(self._counters(gpu) for gpu in self.gpus if gpu.uuid in used))

    def _counters(self, gpu: GpuView) -> usage.GpuCounters:
        stats = self._daemon_stats(gpu.uuid)
        reading = self._gpus.read(gpu.uuid) or gpus.metered(stats, gpu)
        ours = [lease.lease_id for lease in self.leases if lease.gpu_uuid == gpu.uuid]
        return usage.GpuCounters(
            uuid=gpu.uuid,
            name=gpu.name,
            sm_count=gpu.sm_count,
            now_ns=reading.now_ns,
            busy_ns=reading.busy_ns,
            sm_time_ns=reading.sm_time_ns,
            max_concurrent_sm_percent=self._most_concurrent.get(gpu.uuid, 0),
            leases=tuple(
                _lease_counters(lease_id, reading.leases.get(lease_id, Delivered()))
                for lease_id in ours
            ),
        )

    def _daemon_stats(self, uuid: str) -> tokend.Stats | None:
        """Return what the token daemon says, None while it is away; keeps its maximum."""
        stats = tokend.Control(self._state.gpu(uuid)).try_stats()
        if stats:
            most = max(self._most_concurrent.get(uuid, 0), stats.gpu.max_concurrent_sm_percent)
            self._most_concurrent[uuid] = most
        return stats


def _offered(gpu: GpuView, *, has_store: bool) -> placement.Gpu:
    """Return what placement may give of a GPU; its model store is an MPS client as replicas are."""
    whole = placement.Gpu(gpu.uuid, gpu.memory_bytes, gpu.sm_count)
    if not has_store:
        return whole
    return replace(whole, max_clients=whole.max_clients - 1, store_bytes=stores.CONTEXT_BYTES)


def _lease_counters(lease_id: str, got: Delivered) -> usage.LeaseCounters:
    return usage.LeaseCounters(lease_id, got.gpu_ns, got.memory_bytes)
