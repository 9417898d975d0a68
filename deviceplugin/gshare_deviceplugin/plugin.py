"""The device plugin: its parts wired together, started in order, and stopped.

The kubelet sees the registrar, another process, which passes starts of containers on to this one.
So this one may be slow to start, fail and be upgraded: a container that wants to start before GPUs
and pods are known waits at the entrance, and the kubelet never turns a pod away meanwhile.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.runtime.kube import ApiServer, EventWriter, Regarding
from gshare.runtime.native import Native
from gshare.terms import Refused

from . import changes, inventory, libraries, mps_paths, passage
from .announcement import Announcement, Standings
from .door import Door
from .inventory import Inventory, InventorySettings
from .keeper import Ground, Keeper
from .lease import Lease
from .metering import DaemonMeter, Meter, SimulatedMeter
from .metrics import NodeCollector, Sources
from .podresources import PodResources
from .pods import NodePods
from .records import Records
from .registrar import registered
from .resident import ResidentModels
from .settings import PluginSettings
from .shims import PodShims
from .sweeper import Listeners, Sweeper
from .web import Web

TERMS_REFUSED: Final = "GpuTermsRefused"
_OPENING_S: Final = 10.0

_log = logging.getLogger(__name__)


class _Entrance:
    """Where containers wait until the door is there."""

    def __init__(self) -> None:
        self._there = threading.Event()
        self._door: Door | None = None

    def open(self, door: Door) -> None:
        """Let containers through to the door."""
        self._door = door
        self._there.set()

    def start(self, device_ids: Sequence[str]) -> None:
        """Start a container by its SM devices."""
        self._wait().start(device_ids)

    def check(self, device_ids: Sequence[str]) -> None:
        """Check a container by its quota devices."""
        self._wait().check(device_ids)

    def _wait(self) -> Door:
        self._there.wait(_OPENING_S)
        if self._door is None:
            raise GshareError("gshare's node agent is still starting; the kubelet tries again")
        return self._door


class Plugin:
    """The device plugin of one node."""

    def __init__(self, settings: PluginSettings) -> None:
        self._settings = settings
        self._records = Records(settings.node.state)
        self._entrance = _Entrance()
        self._following = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop`; GshareError where it cannot begin."""
        starts = {
            names.RESOURCE_SM: self._entrance.start,
            names.RESOURCE_QUOTA: self._entrance.check,
        }
        with passage.serving(self._settings.node.state, starts):
            self._run_rest(stop)

    def _run_rest(self, stop: threading.Event) -> None:
        settings = self._settings
        native = Native.locate(settings.node.native)
        simulated = settings.node.simulate is not None
        root = settings.node.state / "lib"
        published = libraries.publish(root, native, simulated=simulated)
        found = inventory.open_inventory(self._inventory_settings(native.simgpu), published)
        ground = Ground(
            state=settings.node.state,
            cdi=settings.cdi,
            inventory=found,
            libraries=published,
            mps=lambda uuid: mps_paths.serving(settings.node.state, uuid),
            shims=PodShims(settings.node.state, settings.host_root),
            hook=settings.hook,
            store=settings.store,
        )
        meter: Meter = DaemonMeter()
        if simulated:
            meter = SimulatedMeter(settings.node.state / "simgpu", native.simgpu)
        api = ApiServer.connect(settings.kubeconfig)
        parts = _Parts(settings, api, ground, meter)
        found.on_change(lambda: self._follow(parts))
        found.start()
        try:
            parts.start()
            self._entrance.open(parts.door)
            self._follow(parts)
            stop.wait()
        finally:
            parts.stop()
            found.stop()

    def _inventory_settings(self, drivers: Path) -> InventorySettings:
        node = self._settings.node
        return InventorySettings(
            state=node.state,
            node_name=self._settings.node_name,
            simulate=node.simulate,
            simulated_drivers=drivers,
            time_scale=node.time_scale,
            store_bytes=self._settings.store.context_bytes if node.has_store else None,
        )

    def _follow(self, parts: "_Parts") -> None:
        """Take up the GPUs as they are now; called by several threads."""
        with self._following:
            count = len(parts.inventory.gpus())
            if count:
                self._records.write_gpu_count(count)
        parts.announcement.tell()
        parts.sweeper.tell()
        parts.door.changed()


class _Parts:
    """What runs once GPUs and the API server are known."""

    def __init__(
        self, settings: PluginSettings, api: ApiServer, ground: Ground, meter: Meter
    ) -> None:
        self.inventory: Inventory = ground.inventory
        self._kubelet = PodResources(settings.pod_resources)
        self._pods = NodePods(api, settings.node_name, self._pods_changed)
        self._state = settings.node.state
        self._keeper = keeper = Keeper(ground)
        self._events = EventWriter(api, f"{names.DOMAIN}/node-agent", settings.node_name)
        self.door = Door(keeper, ground.inventory, self._pods, self._kubelet)
        self._resident = ResidentModels(
            lambda: (gpu.uuid for gpu in ground.inventory.gpus()),
            keeper.gpu_folder,
            self._models_changed,
        )
        self.announcement = Announcement(
            api, settings.node_name, ground.inventory, self._standings, self._resident.now
        )
        listeners = Listeners(self._ended, self.announcement.tell, self._refused)
        self.sweeper = Sweeper(keeper, self._pods, self._kubelet, listeners)
        sources = Sources(
            ground.inventory.gpus, keeper, self.door, meter, lambda: registered(self._state)
        )
        self._web = Web(
            settings.metrics_host, settings.metrics_port, NodeCollector(sources), self._missing
        )

    def start(self) -> None:
        """Start all; OSError where the metrics' port is taken."""
        self._web.start()
        self._pods.start()
        self.sweeper.start()
        self.announcement.start()
        self._resident.start()

    def stop(self) -> None:
        """Stop all, in reverse."""
        self._resident.stop()
        self.announcement.stop()
        self.sweeper.stop()
        self._pods.stop()
        self._events.stop()
        self._web.stop()
        self._kubelet.close()

    def _standings(self, stood: Standings) -> Standings:
        """Return the terms that others must be told, by pod UID."""
        is_complete = self._pods.is_ready  # asked first: pods may come meanwhile
        leases, placed = self._keeper.leases, self._pods.placed()
        return changes.standings(stood, leases, placed, is_complete=is_complete)

    def _ended(self) -> None:
        self.door.changed()
        self.announcement.tell()

    def _refused(self, held: Lease, refused: Refused) -> None:
        _log.warning("event=terms_refused lease=%s text=%r", held.lease_id, str(refused))
        pod = Regarding("Pod", held.owner.pod, held.owner.namespace, held.pod_uid)
        self._events.post(pod, "Warning", TERMS_REFUSED, "ChangingTerms", str(refused))

    def _pods_changed(self) -> None:
        self.sweeper.tell()

    def _models_changed(self) -> None:
        self.announcement.tell()

    def _missing(self) -> str:
        """Return what keeps the node from starting containers; empty when nothing does."""
        if not self.inventory.gpus():
            return "no GPU found"
        if not self._pods.is_ready:
            return "pods not listed"
        if not all(registered(self._state).values()):
            return "not registered with the kubelet"
        return ""
