"""A keeper on a state directory of its own with a real token daemon, to be killed anywhere."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from gshare import names, terms, wire
from gshare.annotations import NodeGpu, PodPlacement
from gshare.models import ModelShare
from gshare.runtime import stores, tokend
from gshare_deviceplugin import cdi, lease, libraries
from gshare_deviceplugin.changes import Wish
from gshare_deviceplugin.edits import ContainerEdits
from gshare_deviceplugin.ending import Fate
from gshare_deviceplugin.keeper import Ground, Keeper
from gshare_deviceplugin.lease import Lease, Owner, Refusal
from gshare_deviceplugin.podresources import Held
from gshare_deviceplugin.records import Records
from gshare_deviceplugin.shims import PodShims
from gshare_deviceplugin.sweeper import Sweeper

from .daemon import ChildDaemon, native
from .gpu_pods import GIB, GPU, node_gpu

WINDOW_US = 40_000
VIT = ModelShare("vit", GIB, "team")
"""What every pod announces: the GPU has its weights once."""
# Calls that change what others see; a draft that nobody reads yet is no step.
_STEPS = ("replace", "unlink", "mkdir", "rmdir")


class Killed(BaseException):
    """The process was killed here."""


class FakeInventory:
    """One GPU with a model store; the real inventory asks NVML."""

    window_us = WINDOW_US

    def gpus(self) -> tuple[NodeGpu, ...]:
        return (_gpu(),)

    def edits(self, uuid: str, lease_id: str) -> ContainerEdits:
        return ContainerEdits((("GPU", uuid), ("LEASE", lease_id)))

    def on_change(self, callback: Callable[[], None]) -> None:
        """Nothing changes."""

    def start(self) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""


class KeeperNode:
    """The node's state and what is true of its pods, whoever keeps it."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.cdi = root / "cdi"
        self.live: dict[str, Lease] = {}
        """Pods that live, by name, as they were judged."""
        self.requests: dict[str, int] = {}
        """The quota requests that pods' annotations ask, by name."""
        self.answered: dict[str, tuple[Lease, int]] = {}
        """Leases whose container was allowed to start, with the inode of its counters."""
        published = libraries.publish(self.state / "lib", native(), simulated=False)
        shims = PodShims(self.state, Path("/"))
        self._ground = Ground(
            self.state, self.cdi, FakeInventory(), published, lambda _: None, shims
        )
        self.gpu = self.state / "gpus" / GPU
        self.keeper = Keeper(self._ground)

    def revive(self) -> None:
        """Have another process keep the node, as after a kill."""
        self.keeper = Keeper(self._ground)
        sweeper = Sweeper(self.keeper, self, self)
        sweeper.sweep(0.0, whole=True)
        assert not sweeper.sweep(100.0)

    def start(self, name: str, sm: int = 12, quota: int = 40, ids: str = "") -> None:
        """Have a pod's container start, for the first time or again."""
        digest = lease.digest([ids or name])
        owner = Owner("team", name, "server")
        uid = f"{name}-uid-0000"
        own = Lease("", digest, owner, uid, name, 0, GPU, sm, quota, 100, GIB)
        wanted = replace(own, model=VIT.key, model_bytes=VIT.size_bytes)
        self.live[name] = wanted
        begun = self.keeper.begin(wanted, _gpu())
        assert not isinstance(begun, Refusal), begun.text
        self.keeper.settle(GPU)
        self.answered[name] = (begun, self._inode(begun))

    def ask(self, name: str, quota: int) -> None:
        """Have a pod ask for another quota request, and the agent notice."""
        self.requests[name] = quota
        Sweeper(self.keeper, self, self).sweep(0.0)

    def leave(self, name: str) -> None:
        """Have a pod go, and the agent notice."""
        del self.live[name]
        self.answered.pop(name, None)
        Sweeper(self.keeper, self, self).sweep(0.0)

    def fate(self, owner: Owner, uid: str) -> Fate:
        """Answer for the API."""
        del uid
        return Fate.LIVE if owner.pod in self.live else Fate.GONE

    def wish(self, held: Lease) -> Wish | None:
        """Answer for the pods: each wants a limit of 90 %, and some another quota request."""
        if held.owner.pod not in self.live:
            return None
        asked = {terms.LIMIT: "90"}
        if held.owner.pod in self.requests:
            asked[terms.REQUEST] = str(self.requests[held.owner.pod])
        return Wish(asked, self.placed()[held.pod_uid])

    def placed(self) -> dict[str, PodPlacement]:
        """Answer for the pods."""
        return {
            each.pod_uid: PodPlacement(GPU, each.sm_percent, each.quota_request_percent, GIB, VIT)
            for each in self.live.values()
        }

    def killed_at_s(self, held: Lease) -> float | None:
        """Answer for the pods: none is being deleted."""
        del held

    def list(self) -> list[Held]:
        """Answer for the kubelet."""
        return []

    def check(self) -> None:
        """Check that records, layout, folders, pages, daemon and specs agree with the pods."""
        held = Records(self.state).leases()
        ids = {each.lease_id for each in held.values()}
        assert {each.owner.pod for each in held.values()} <= self.live.keys()
        assert self.answered.keys() <= {each.owner.pod for each in held.values()}
        assert set(Records(self.state).layout(GPU).keys) == ids
        assert {each.name for each in (self.gpu / names.FOLDER_LEASES).iterdir()} == ids
        stats = tokend.Control(self.gpu).stats()
        assert {each.lease_id for each in stats.leases} == ids
        assert cdi.digests(self.cdi) == held.keys()
        self._check_store(len(held))
        for each in held.values():
            self._check_lease(each)

    def _check_store(self, leases: int) -> None:
        """Check that the store may use what is left; after the last lease it lingers, or not."""
        budget = stores.budget(self.gpu)
        if budget is not None or leases:
            left = _gpu().memory_bytes - leases * GIB - stores.CONTEXT_BYTES
            assert budget == stores.Budget(left, stores.HOST_BYTES)

    def _check_lease(self, each: Lease) -> None:
        folder = self.gpu / names.FOLDER_LEASES / each.lease_id
        identity = json.loads((folder / names.FILE_IDENTITY).read_text())
        assert (identity["namespace"], identity["pod"]) == (each.owner.namespace, each.owner.pod)
        assert (identity["model"], identity["model_bytes"]) == (VIT.key, VIT.size_bytes)
        limits = wire.unpack_limits((folder / names.FILE_LIMITS).read_bytes())
        assert (limits.sm_percent, limits.quota_limit_percent) == (each.sm_percent, 90)
        asked = self.requests.get(each.owner.pod, self.live[each.owner.pod].quota_request_percent)
        assert limits.quota_request_percent == each.quota_request_percent == asked
        assert str(folder) in cdi.spec_path(self.cdi, each.digest).read_text()
        began, inode = self.answered.get(each.owner.pod, (each, 0))
        if began.lease_id == each.lease_id and inode:
            assert self._inode(each) == inode, "the pages of a running container were replaced"

    def _inode(self, each: Lease) -> int:
        folder = self.gpu / names.FOLDER_LEASES / each.lease_id
        return (folder / names.FILE_COUNTERS).stat().st_ino


def _gpu() -> NodeGpu:
    return node_gpu(store_bytes=stores.CONTEXT_BYTES)


@contextmanager
def keeper_node() -> Iterator[KeeperNode]:
    """Yield a node whose token daemon runs."""
    root = Path(tempfile.mkdtemp(prefix="gshare-keeper-test-", dir="/dev/shm"))
    made = KeeperNode(root)
    made.gpu.mkdir(parents=True)
    tokend.write_timetable(made.gpu, [])
    daemon = ChildDaemon(made.gpu, WINDOW_US, native().tokend)
    try:
        daemon.start()
        yield made
    finally:
        daemon.stop()
        shutil.rmtree(root)


@contextmanager
def killed_after(steps: int) -> Iterator[list[int]]:
    """Have the process die in place of its step number `steps`; yield a count of those taken."""
    taken = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            if taken[0] >= steps:
                raise Killed
            taken[0] += 1
            return call(*args, **more)

        return step

    patches = [mock.patch.object(os, name, counted(getattr(os, name))) for name in _STEPS]
    exchange = tokend.Control._exchange
    patches.append(mock.patch.object(tokend.Control, "_exchange", counted(exchange)))
    try:
        for each in patches:
            each.start()
        yield taken
    finally:
        for each in patches:
            each.stop()
