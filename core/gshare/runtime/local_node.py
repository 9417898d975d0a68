"""The node on one machine without a cluster: the ledger of GPUs, and the leases of live runs.

Several runs (`gshare up`, `gshare run`) share the GPUs. There is no server between them: each
takes the state's lock, reads what all live runs hold, decides with `gshare.placement`, writes, and
lets go. What is written, and in which order, is chosen for a SIGKILL at any line:

  admit    layouts, then the run's record, then lease folders and timetable (`leases.settle`);
           then the model store is started that a lease announces a model to
  release  the run's record, then layouts, then timetable and lease folders; a model store whose
           memory is wanted ends before it is said so

A lease counts while it stands in the record of a run whose lock is held. A layout that names others
is read without them; folders and timetables are made to agree at the next change. `sweep` does what
a killed run left undone, and runs before every change.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gshare import placement
from gshare.errors import GshareError
from gshare.lease import limits_of
from gshare.models import ModelShare
from gshare.modes import RECT, Mode, Packer, Timetable
from gshare.rectangles import Size
from gshare.wire import Limits
from gshare.workload.values import DEFAULT_NAMESPACE

from . import daemons, layouts, leases, local_stores, processes, stores
from .daemons import LocalDaemons
from .lease_ids import LONGEST_LEASE_ID, lease_id
from .state import LeaseRecord, Run, StateDirectory


@dataclass(frozen=True, slots=True)
class Demand:
    """What one replica asks of the node; `memory_bytes` None means its rectangle's share.

    `pod` is its name within its namespace; `model` is what it announces to a GPU's model store.
    """

    replica: str
    function: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int | None = None
    namespace: str = DEFAULT_NAMESPACE
    pod: str = ""
    model: ModelShare | None = None

    def request(self, key: str) -> placement.Request:
        """Return what placement is asked for under the lease id `key`."""
        return placement.Request(
            key,
            self.sm_percent,
            self.quota_request_percent,
            self.memory_bytes,
            self.model.within(self.namespace) if self.model else None,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """A demand that found no room, and the one line that says what is free."""

    demand: Demand
    text: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The leases made, and the demands refused.

    `trouble` is one line where a model store does not serve: the leases stand, and what runs under
    them loads models for itself.
    """

    leases: tuple[LeaseRecord, ...]
    refused: tuple[Refused, ...]
    trouble: str = ""


def sweep(state: StateDirectory) -> int:
    """End what dead runs left behind; return how many runs live. Call with the lock held.

    Processes first, while the record still names them; then the run is forgotten, which gives its
    leases back. Without any live run the token daemons are stopped and everything else is removed.
    """
    alive = 0
    for record, is_alive in list(state.records()):
        if is_alive:
            alive += 1
            continue
        processes.end_run(record.run_id, (identity for _, identity in record.processes))
        state.forget(record.run_id)
    if not alive:
        for folder in state.gpus.glob("*"):
            daemons.stop(folder)
        state.clear()
    return alive


class LocalNode:
    """One run's hands on the ledger that all runs share."""

    def __init__(
        self,
        state: StateDirectory,
        run: Run,
        gpus: Sequence[placement.Gpu],
        local_daemons: LocalDaemons,
        window_us: int,
        mode: Mode[Any] = RECT,
    ) -> None:
        self._state = state
        self._run = run
        self._gpus = {gpu.uuid: gpu for gpu in gpus}
        self._daemons = local_daemons
        self._window_us = window_us
        self._packer = Packer(mode)

    @property
    def held(self) -> tuple[LeaseRecord, ...]:
        """Return the leases of our own run."""
        return self._run.record.leases

    def lease_folder(self, lease: LeaseRecord) -> Path:
        """Return the folder of one of our leases."""
        return leases.folder_of(self._state.gpu(lease.gpu_uuid), lease.lease_id)

    def admit(self, demands: Sequence[Demand], *, whole: bool) -> Admission:
        """Place demands and make their leases; with `whole` all of them or none."""
        with self._state.locked():
            sweep(self._state)
            live = live_leases(self._state)
            keys = _keys_for(demands, {lease.lease_id for lease in live})
            requests = [each.request(key) for key, each in keys.items()]
            plan = placement.place_all(self._snapshots(live), requests, self._packer)
            refused = tuple(Refused(keys[each.request.key], each.text) for each in plan.refusals)
            if whole and refused:
                return Admission((), refused)
            made = tuple(_lease(keys[each.key], each) for each in plan.placements)
            self._write_layouts(plan.gpus)
            self._run.hold((*self.held, *made))
            self._settle()
            trouble = self._start_stores({each.gpu_uuid for each in made})
        return Admission(made, refused, trouble)

    def release(self, lease_ids: Iterable[str]) -> None:
        """Give leases of ours back, after their processes have ended."""
        gone = set(lease_ids)
        with self._state.locked():
            self._run.hold(tuple(each for each in self.held if each.lease_id not in gone))
            self._settle()

    def keep(self) -> str:
        """Start the daemons of our leases' GPUs again where they died.

        GshareError where a token daemon does not start. What is wrong with a model store, without
        which programs go on, is returned in one line.
        """
        folders = [self._state.gpu(uuid) for uuid in {lease.gpu_uuid for lease in self.held}]
        if all(self._daemons.serve(folder) for folder in folders):
            return ""
        with self._state.locked():
            for folder in folders:
                self._daemons.tokens.ensure(folder)
            return local_stores.look_after(self._daemons.stores, folders)

    def started(self, lease_id: str, pid: int | None) -> None:
        """Record the process that runs under one of our leases; None when it has ended."""
        identity = processes.ProcessIdentity.of(pid) if pid else None
        self._run.started(lease_id, identity)

    def layouts(self) -> dict[str, Timetable]:
        """Return the layout of every GPU, by UUID."""
        with self._state.locked():
            return self._layouts()

    def _layouts(self) -> dict[str, Timetable]:
        snapshots = self._snapshots(live_leases(self._state))
        return {snapshot.gpu.uuid: snapshot.layout for snapshot in snapshots}

    def _snapshots(self, live: Sequence[LeaseRecord]) -> tuple[placement.Snapshot, ...]:
        return tuple(
            _snapshot(
                gpu,
                [lease for lease in live if lease.gpu_uuid == uuid],
                layouts.read(self._state.gpu(uuid)),
                self._packer,
                stores.resident(self._state.gpu(uuid)),
            )
            for uuid, gpu in self._gpus.items()
        )

    def _write_layouts(self, snapshots: Iterable[placement.Snapshot]) -> None:
        for snapshot in snapshots:
            layouts.write(self._state.gpu(snapshot.gpu.uuid), snapshot.layout)

    def _settle(self) -> None:
        """Make the folders and timetables of all GPUs agree with the ledger."""
        live = {lease.lease_id: lease for lease in live_leases(self._state)}
        for uuid, arranged in self._layouts().items():
            held = [live[key] for key in arranged.keys]
            wanted = [
                limits_of(each, arranged.slices(each.lease_id), self._window_us) for each in held
            ]
            self._settle_gpu(self._gpus[uuid], held, wanted)

    def _settle_gpu(
        self, gpu: placement.Gpu, held: Sequence[LeaseRecord], wanted: Sequence[Limits]
    ) -> None:
        folder = self._state.gpu(gpu.uuid)
        if not wanted:
            daemons.stop(folder)
            shutil.rmtree(folder, ignore_errors=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        local_stores.settle(folder, gpu, held, self._namespaces())
        leases.prepare(folder, wanted, local_stores.identities(held))
        self._daemons.tokens.ensure(folder)
        leases.enforce(folder, wanted)

    def _namespaces(self) -> frozenset[str]:
        return frozenset(each.namespace for each in live_leases(self._state))

    def _start_stores(self, uuids: Iterable[str]) -> str:
        return local_stores.start(self._daemons.stores, map(self._state.gpu, uuids))


def live_leases(state: StateDirectory) -> tuple[LeaseRecord, ...]:
    """Return the leases of all live runs. Call with the lock held."""
    return tuple(
        lease for record, is_alive in state.records() if is_alive for lease in record.leases
    )


def _snapshot(
    gpu: placement.Gpu,
    held: Sequence[LeaseRecord],
    written: Timetable,
    packer: Packer,
    resident: Mapping[str, int] | None = None,
) -> placement.Snapshot:
    """Return the GPU with the leases it holds, in their places; if one has none, anew.

    `resident` are the bytes of the models that its store keeps, by name.
    """
    sizes = {lease.lease_id: Size(lease.quota_request_percent, lease.sm_percent) for lease in held}
    arranged = packer.settled(written, sizes)
    if arranged is None:
        raise GshareError(f"the leases on {gpu.uuid} fit no layout: {sorted(sizes)}")
    amounts = {lease.lease_id: lease.memory_bytes for lease in held}
    return placement.Snapshot(
        gpu,
        arranged,
        tuple((key, amounts[key]) for key in arranged.keys),
        local_stores.shares(gpu, held),
        resident or {},
    )


def _keys_for(demands: Sequence[Demand], taken: set[str]) -> dict[str, Demand]:
    """Return a lease id for each demand, as much like its replica's name as others allow."""
    keys: dict[str, Demand] = {}
    for demand in demands:
        plain = lease_id(demand.replica)
        candidate, attempt = plain, 1
        while candidate in taken or candidate in keys:
            attempt += 1
            suffix = f"-x{attempt}"
            candidate = plain[: LONGEST_LEASE_ID - len(suffix)].rstrip("-") + suffix
        keys[candidate] = demand
    return keys


def _lease(demand: Demand, placed: placement.Placement) -> LeaseRecord:
    return LeaseRecord(
        lease_id=placed.key,
        replica=demand.replica,
        function=demand.function,
        gpu_uuid=placed.gpu_uuid,
        sm_percent=demand.sm_percent,
        quota_request_percent=demand.quota_request_percent,
        quota_limit_percent=demand.quota_limit_percent,
        memory_bytes=placed.memory_bytes,
        namespace=demand.namespace,
        pod=demand.pod or demand.replica,
        model=demand.model.key if demand.model else None,
        model_bytes=demand.model.size_bytes if demand.model else None,
    )
