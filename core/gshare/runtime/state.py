"""The state directory of one machine: which runs live, what they hold, and one lock over changes.

    STATE/lock                   held while placements change
    STATE/node.json              which GPUs these are (simulated ones are made by the first run)
    STATE/runs/<run id>/lock     held by the run's process for as long as it lives
    STATE/runs/<run id>/record   JSON: its leases and its processes
    STATE/gpus/<uuid>/...        timetable, sockets and lease folders

A process can be killed at any line. The kernel then drops its lock on its run, and whoever takes
STATE/lock next sees a run that nobody holds, ends its processes and forgets its leases. Nothing
else is remembered: the ledger of placements is what the records of live runs say.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gshare.models import ModelShare
from gshare.workload.values import DEFAULT_NAMESPACE

from .processes import ProcessIdentity


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What one replica holds: enough to build its lease again."""

    lease_id: str
    replica: str
    function: str
    gpu_uuid: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    memory_bytes: int
    namespace: str = DEFAULT_NAMESPACE
    pod: str = ""
    """The pod's name in its namespace, where the replica's name may hold both."""
    model: str | None = None
    """The model that it announces, None where it announces none."""
    model_bytes: int | None = None
    """The bytes of its weights, None where they were not announced."""

    @property
    def shared(self) -> ModelShare | None:
        """Return the model that it announces."""
        if self.model is None:
            return None
        return ModelShare(self.model, self.model_bytes, self.namespace)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: its leases, and the session leaders it started by lease id."""

    run_id: str
    leases: tuple[LeaseRecord, ...] = ()
    processes: tuple[tuple[str, ProcessIdentity], ...] = ()
    ports: tuple[int, ...] = ()
    """Local ports given to its replicas, so that no other run gives them again."""

    def process(self, lease_id: str) -> ProcessIdentity | None:
        """Return the process that runs under a lease."""
        return dict(self.processes).get(lease_id)

    def to_json(self) -> str:
        """Return the record as it stands on disk."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Read what `to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        return cls(
            run_id=raw["run_id"],
            leases=tuple(LeaseRecord(**lease) for lease in raw["leases"]),
            processes=tuple((key, ProcessIdentity(**value)) for key, value in raw["processes"]),
            ports=tuple(raw["ports"]),
        )


class StateDirectory:
    """The paths of the state directory, and the lock over its placements."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.simgpu = root / "simgpu"
        self.runs = root / "runs"
        self.gpus = root / "gpus"
        self.node = root / "node.json"

    def gpu(self, uuid: str) -> Path:
        """Return the folder of one GPU."""
        return self.gpus / uuid

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock over placements; made anew if the last run removed the directory."""
        path = self.root / "lock"
        while True:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_still(descriptor, path):
                    yield
                    return
            finally:
                os.close(descriptor)

    def records(self) -> Iterator[tuple[RunRecord, bool]]:
        """Yield each run's record and whether its process lives. Call with the lock held."""
        for folder in sorted(self.runs.glob("*")):
            try:
                record = RunRecord.from_json((folder / "record").read_text())
            except FileNotFoundError:  # killed between making the folder and its first record
                record = RunRecord(folder.name)
            yield record, is_locked(folder / "lock")

    def forget(self, run_id: str) -> None:
        """Remove a run's folder. Call with the lock held."""
        shutil.rmtree(self.runs / run_id, ignore_errors=True)

    def clear(self) -> None:
        """Remove everything but the lock. Call with the lock held and no run left."""
        for folder in (self.runs, self.gpus, self.simgpu):
            shutil.rmtree(folder, ignore_errors=True)
        self.node.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all that is ours, the lock last. Call with the lock held and no run left."""
        self.clear()
        (self.root / "lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the user keeps something else in it
            self.root.rmdir()


class Run:
    """Our own run: holds its lock until closed, and writes its record."""

    def __init__(self, state: StateDirectory, run_id: str) -> None:
        """Open the run. Call with the state's lock held, so that nobody takes it for a dead one."""
        self._folder = state.runs / run_id
        self._folder.mkdir(parents=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.record = RunRecord(run_id)
        self._save()

    def hold(self, leases: tuple[LeaseRecord, ...]) -> None:
        """Record the leases that this run holds. Call with the state's lock held."""
        kept = {lease.lease_id for lease in leases}
        processes = tuple(entry for entry in self.record.processes if entry[0] in kept)
        self.record = replace(self.record, leases=leases, processes=processes)
        self._save()

    def started(self, lease_id: str, identity: ProcessIdentity | None) -> None:
        """Record the process that runs under a lease now; None if it ended."""
        others = tuple(entry for entry in self.record.processes if entry[0] != lease_id)
        mine = ((lease_id, identity),) if identity else ()
        self.record = replace(self.record, processes=others + mine)
        self._save()

    def take_ports(self, ports: tuple[int, ...]) -> None:
        """Record more local ports as taken. Call with the state's lock held."""
        self.record = replace(self.record, ports=self.record.ports + ports)
        self._save()

    def close(self) -> None:
        """Let go of the run's lock."""
        os.close(self._lock)

    def _save(self) -> None:
        write_atomically(self._folder / "record", self.record.to_json())


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see the old text or the new, whole."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of a file; False where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
