"""Keeps the node's leases: records, layouts, folders, timetables and CDI specs, made to agree.

Everything is level-triggered: a lease is its record, and `settle` makes the rest of its GPU follow
the records, whatever is there. Each step is one file replaced or removed, in an order chosen for a
SIGKILL at any line:

  begin   the layout that has room for it (names that have no record are ignored);
          its record, over the last lease of its device IDs; records of its pod's earlier leases;
          then `settle`
  settle  what the GPU's model store may use (`modelstores` has one run where it may use something);
          folders and limits pages, then the timetable (`leases.prepare`); the token daemon reads
          it, makes grant, counters and socket, and forgets others; folders it no longer names are
          removed (`leases.enforce`); CDI specs, which need the counters page
  change  the layout with its new rectangle; its record; then `settle`
  end     its record; its CDI spec; then `settle`

So before the record is written nothing has happened, and after it the lease is there and only needs
to be settled again. The kubelet never got an answer: it asks again for a new lease, which replaces
this one. What a killed agent left undone is done by the first sweep (sweeper.py).

Locks: `_lock` is held over records and layouts, for file work alone; each GPU has one that is held
while its daemon is asked, so a daemon that hangs holds up nobody else's GPU. A GPU's lock is taken
first.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gshare import modes, names
from gshare.annotations import NodeGpu, PodPlacement, Standing
from gshare.errors import GshareError
from gshare.lease import limits_of
from gshare.modes import Settler, Timetable
from gshare.runtime import leases, stores
from gshare.wire import Limits

from . import cdi, changes, lease, libraries, mps_paths, store_terms
from .changes import Beside, Changed, Wish
from .charge import Charge
from .inventory import Inventory
from .lease import Lease, Refusal
from .libraries import PodLibraries
from .mps_paths import MpsPaths
from .records import Records
from .settings import StoreTerms
from .shims import PodShims


@dataclass(frozen=True, slots=True)
class Ground:
    """Where leases lie, and what containers get with them."""

    state: Path
    """The node's state directory, on a memory file system."""
    cdi: Path
    """The folder of CDI specs."""
    inventory: Inventory
    libraries: PodLibraries
    mps: Callable[[str], MpsPaths | None]
    """Where a GPU's MPS control daemon serves, None where none runs."""
    shims: PodShims
    """What stands before the driver in containers that ask for it."""
    hook: str = names.HOOK_PRELOAD
    """How containers that do not say reach the hook."""
    store: StoreTerms = field(default_factory=StoreTerms)
    """What the model store of a GPU that has one gets."""


class Keeper:
    """The leases of one node. Any thread may call."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._records = Records(ground.state)
        self._settler = Settler()
        self._lock = threading.Lock()
        self._gpu_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._specs: dict[str, str] = {}  # digest -> lease id of the spec we wrote; under _lock
        self._unsettled: set[str] = set()  # GPUs to be settled again; under _lock

    @property
    def leases(self) -> tuple[Lease, ...]:
        """Return all leases."""
        with self._lock:
            return tuple(self._records.leases().values())

    @property
    def unsettled(self) -> frozenset[str]:
        """Return the GPUs whose leases changed and that have not followed yet."""
        with self._lock:
            return frozenset(self._unsettled)

    def gpu_folder(self, uuid: str) -> Path:
        """Return the folder of a GPU, which its token daemon serves."""
        return self._records.gpu(uuid)

    def begin(self, wanted: Lease, gpu: NodeGpu) -> Lease | Refusal:
        """Give `wanted` a number and a place on `gpu`, as the successor of its pod's last lease.

        It is there, but no container can use it before `settle` has returned.
        """
        with self._lock:
            known = self._records.leases().values()
            replaced = [each for each in known if _succeeds(wanted, each)]
            others = [e for e in known if e.gpu_uuid == gpu.uuid and e not in replaced]
            last = max((e.start for e in replaced if e.pod_uid == wanted.pod_uid), default=0)
            fresh = lease.numbered(wanted, last, self._taken(gpu.uuid, known))
            hook = fresh.hook or self._ground.hook
            fresh = replace(fresh, libraries=self._ground.libraries.digest, hook=hook)
            before = self._records.layout(gpu.uuid)
            before = _renamed(before, {e.lease_id for e in replaced}, fresh)
            arranged = lease.admit(fresh, others, self._charge(gpu), before, self._settler)
            if isinstance(arranged, Refusal):
                return arranged
            self._records.write_layout(gpu.uuid, arranged)
            self._records.write(fresh)
            for each in replaced:
                if each.digest != fresh.digest:
                    self._remove(each.digest)
            self._unsettled |= {gpu.uuid, *(each.gpu_uuid for each in replaced)}
        return fresh

    def end(self, ended: Lease) -> bool:
        """End a lease; tell whether it was there. Its GPU is to be settled."""
        with self._lock:
            if self._records.leases().get(ended.digest) != ended:
                return False  # replaced or changed meanwhile
            self._remove(ended.digest)
            self._unsettled.add(ended.gpu_uuid)
        return True

    def last_of(self, pod_uid: str) -> Lease | None:
        """Return the lease that a pod has."""
        return next((each for each in self.leases if each.pod_uid == pod_uid), None)

    def change(
        self, held: Lease, wish: Wish, placed: Mapping[str, PodPlacement], used_bytes: int | None
    ) -> Changed | None:
        """Bring into force what a lease's pod asks, as far as it can be. Its GPU is to be settled.

        `placed` are all pods of the node, by UID. None where the lease has changed meanwhile, or
        its GPU is not there: to be tried again.
        """
        uuid = held.gpu_uuid
        gpu = self._gpu(uuid)
        with self._lock:
            known = self._records.leases()
            if gpu is None or known.get(held.digest) != held:
                return None
            started = {each.pod_uid for each in known.values()}
            lies = self._records.layout(uuid)
            beside = Beside(
                self._charge(gpu),
                [e for e in known.values() if e.gpu_uuid == uuid and e.digest != held.digest],
                {u: e for u, e in placed.items() if e.gpu_uuid == uuid and u not in started},
                lies,
                self._settler.packer_of(lies),
            )
            changed = changes.judge(held, wish, beside, used_bytes)
            if changed.layout != beside.layout:
                self._records.write_layout(uuid, changed.layout)
            if changed.lease != held:
                self._records.write(changed.lease)
                self._unsettled.add(uuid)
        return changed

    def put_back(self, held: Lease, standing: Standing) -> None:
        """Have a lease on other terms again. Its GPU is to be settled."""
        with self._lock:
            if self._records.leases().get(held.digest) == held:
                self._records.write(held.on_terms(standing, held.asked))
                self._unsettled.add(held.gpu_uuid)

    def end_clients_at(self, held: Lease, deadline_s: float) -> None:
        """Have a lease's MPS clients, if any, ended safely before its container is killed."""
        mps_paths.end_clients_at(self._ground.state, held.gpu_uuid, held.pod_uid, deadline_s)

    def settle(self, uuid: str) -> None:
        """Make folders, daemon and CDI specs of a GPU follow the records.

        GshareError where the daemon does not follow, or a spec cannot be made.
        """
        with self._gpu_locks[uuid]:
            with self._lock:
                self._unsettled.add(uuid)
                held, wanted = self._wanted(uuid)
            folder = self._records.gpu(uuid)
            folder.mkdir(parents=True, exist_ok=True)
            store_terms.write(folder, self._gpu(uuid), held, self._ground.store)
            leases.prepare(folder, wanted, store_terms.identities(held))
            leases.enforce(folder, wanted)
            with self._lock:
                for each, limits in zip(held, wanted, strict=True):
                    self._write_spec(each, limits)
                if self._wanted(uuid)[1] == wanted:
                    self._unsettled.discard(uuid)

    def is_store_ready(self, held: Lease) -> bool:
        """Tell whether the GPU's model store has made room for a lease, and serves it if asked."""
        return store_terms.is_followed(self._records.gpu(held.gpu_uuid), held)

    def clean(self) -> None:
        """Remove CDI specs that no lease has, and libraries that no container has mounted."""
        with self._lock:
            known = self._records.leases()
            for digest in cdi.digests(self._ground.cdi) - known.keys():
                cdi.remove_spec(self._ground.cdi, digest)
            kept = {each.libraries for each in known.values()}
            current = self._ground.libraries
            libraries.sweep(current.folder.parent, kept | {current.digest})

    def unsettle_all(self) -> None:
        """Have every GPU of the node settled anew, whatever we remember of it."""
        with self._lock:
            known = {each.gpu_uuid for each in self._records.leases().values()}
            present = {gpu.uuid for gpu in self._ground.inventory.gpus()}
            self._unsettled |= known | present | self._records.gpus()
            self._specs.clear()

    def _gpu(self, uuid: str) -> NodeGpu | None:
        return next((each for each in self._ground.inventory.gpus() if each.uuid == uuid), None)

    def _charge(self, gpu: NodeGpu) -> Charge:
        return Charge(gpu, stores.resident(self._records.gpu(gpu.uuid)))

    def _remove(self, digest: str) -> None:
        self._records.remove(digest)
        self._specs.pop(digest, None)
        cdi.remove_spec(self._ground.cdi, digest)

    def _wanted(self, uuid: str) -> tuple[list[Lease], list[Limits]]:
        """Return a GPU's leases and their limits, by its layout, which is written if it changed."""
        held = [each for each in self._records.leases().values() if each.gpu_uuid == uuid]
        written = self._records.layout(uuid)
        sizes = {each.lease_id: each.size for each in held}
        arranged = self._settler.settled(written, sizes)
        if arranged is None:
            raise GshareError(f"the leases on {uuid} fit no layout: {sorted(sizes)}")
        if arranged != written:
            self._records.write_layout(uuid, arranged)
        window_us = self._ground.inventory.window_us
        return held, [limits_of(e, arranged.slices(e.lease_id), window_us) for e in held]

    def _write_spec(self, held: Lease, limits: Limits) -> None:
        """Write the CDI spec of a lease that is still there, unless it is written."""
        if self._specs.get(held.digest) == held.lease_id:
            return
        if held.digest not in self._records.leases():
            return
        ground = self._ground
        driver = ground.inventory.edits(held.gpu_uuid, held.lease_id)
        edits = cdi.merge(
            ground.shims.before(driver) if held.hook == names.HOOK_SHIM else driver,
            cdi.lease_edits(
                limits,
                leases.folder_of(self._records.gpu(held.gpu_uuid), held.lease_id),
                ground.libraries,
                ground.mps(held.gpu_uuid),
                held.hook or names.HOOK_PRELOAD,
            ),
        )
        cdi.write_spec(ground.cdi, held.digest, edits)
        self._specs[held.digest] = held.lease_id

    def _taken(self, uuid: str, known: Iterable[Lease]) -> set[str]:
        folders = self._records.gpu(uuid) / names.FOLDER_LEASES
        left = {entry.name for entry in folders.iterdir()} if folders.exists() else set()
        return left | {each.lease_id for each in known}


def _succeeds(wanted: Lease, earlier: Lease) -> bool:
    """Tell whether `earlier` is over once `wanted` begins: same devices, or same pod."""
    return wanted.digest == earlier.digest or wanted.pod_uid == earlier.pod_uid


def _renamed(before: Timetable, earlier: Collection[str], fresh: Lease) -> Timetable:
    """Return the layout with `fresh` in the place of its predecessor, so that nothing moves."""
    for key, size in modes.sizes_of(before).items():
        if key in earlier and size == fresh.size:
            return before.renamed(key, fresh.lease_id)
    return before
