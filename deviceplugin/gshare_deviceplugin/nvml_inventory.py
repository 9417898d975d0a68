"""The inventory of GPUs that NVML tells of: found, watched and judged on a thread of its own.

What is known of their health lies in STATE/health.json: a restart of the agent does not make a GPU
well. The state directory is gone after a reboot, which is a reset.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from gshare.annotations import NodeGpu
from gshare.errors import GshareError
from gshare.runtime.state import write_atomically

from . import health
from .edits import ContainerEdits
from .health import Health
from .nvml import Device, Fault, NvmlError, Session

_log = logging.getLogger(__name__)

_HEALTH_FILE: Final = "health.json"
_LOOK_EVERY_S: Final = 2.0
_EVENT_WAIT_S: Final = 0.5
_RETRY_S: Final = 2.0


class GpuDriver(Protocol):
    """What a container needs of the driver to use a GPU."""

    @property
    def is_simulated(self) -> bool:
        """Tell whether product code stands in for it."""

    def edits(self, device: Device, lease_id: str) -> ContainerEdits:
        """Return the driver's part of a container; GshareError where the node cannot say."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How GPUs are watched."""

    state: Path
    """The node's state directory."""
    window_us: int
    """The token window."""
    quiet_s: float
    """How long a GPU that failed must show no new fault before it is taken back."""
    store_bytes: int | None = None
    """What each GPU's model store takes for itself; None where the node has none."""


class NvmlInventory:
    """An `Inventory` of what NVML tells."""

    def __init__(self, driver: GpuDriver, settings: WatchSettings) -> None:
        self._driver = driver
        self._settings = settings
        self._lock = threading.Lock()
        self._devices: dict[str, Device] = {}
        self._health = _read(settings.state / _HEALTH_FILE)
        self._shown: tuple[NodeGpu, ...] = ()
        self._callbacks: list[Callable[[], None]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nvml", daemon=True)

    @property
    def window_us(self) -> int:
        """Return the token window."""
        return self._settings.window_us

    def gpus(self) -> tuple[NodeGpu, ...]:
        """Return the GPUs as they are now; none before NVML has answered once."""
        with self._lock:
            return self._shown

    def edits(self, uuid: str, lease_id: str) -> ContainerEdits:
        """Return the driver's part of a container on one GPU."""
        with self._lock:
            device = self._devices.get(uuid)
        if device is None:
            raise GshareError(f"{uuid}: no GPU of this node, or the driver has not told of it yet")
        return self._driver.edits(device, lease_id)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after each change of `gpus()`."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Begin to look for GPUs and watch them; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a call into the driver that hangs is left behind."""
        self._stopped.set()
        self._thread.join(timeout=2 * _EVENT_WAIT_S)

    def _run(self) -> None:
        said = ""
        while not self._stopped.is_set():
            try:
                session = Session(simulated=self._driver.is_simulated)
                said = ""
                self._watch(session)
            except NvmlError as error:
                self._all_silent(str(error).removeprefix("NVML: "))
                if str(error) != said:
                    said = str(error)
                    _log.warning('event=nvml_away error="%s"', said)
            except Exception:  # noqa: BLE001 (a service loop: the next round may do better)
                _log.exception("event=nvml_failed")
            self._stopped.wait(_RETRY_S)

    def _watch(self, session: Session) -> None:
        """Follow a session of NVML until a GPU is silent: only a new session sees it again."""
        try:
            self._found(session)
            while self._look(session) and not self._stopped.is_set():
                if not self._hear(session, time.monotonic() + _LOOK_EVERY_S):
                    break
        finally:
            session.close()

    def _found(self, session: Session) -> None:
        with self._lock:
            self._devices |= {device.gpu.uuid: device for device in session.devices}

    def _look(self, session: Session) -> bool:
        """Ask every GPU; tell whether all that were ever seen have answered."""
        looks = {device.gpu.uuid: session.look(device) for device in session.devices}
        missing = health.Look(problem="the driver does not tell of it any more")
        now_s, quiet_s = time.time(), self._settings.quiet_s
        for uuid in self._devices:
            look = looks.get(uuid, missing)
            before = self._health.get(uuid, Health())
            self._health[uuid] = health.after_look(before, look, now_s, quiet_s)
        self._show()
        return all(uuid in looks and not looks[uuid].problem for uuid in self._devices)

    def _hear(self, session: Session, until: float) -> bool:
        """Take in faults until it is time to look again; tell whether the session still can."""
        while not self._stopped.is_set() and time.monotonic() < until:
            try:
                fault = session.next_fault(_EVENT_WAIT_S)
            except NvmlError as error:  # one GPU is lost: a new session tells which
                _log.warning('event=nvml_events error="%s"', error)
                return False
            if fault is not None:
                self._failed(fault)
        return True

    def _failed(self, fault: Fault) -> None:
        _log.warning("event=xid gpu=%s xid=%d", fault.uuid, fault.xid)
        before = self._health.get(fault.uuid, Health())
        self._health[fault.uuid] = health.after_xid(before, fault.xid, time.time())
        self._show()

    def _all_silent(self, problem: str) -> None:
        look, now_s = health.Look(problem=problem), time.time()
        for uuid in self._devices:
            before = self._health.get(uuid, Health())
            self._health[uuid] = health.after_look(before, look, now_s, self._settings.quiet_s)
        self._show()

    def _show(self) -> None:
        """Publish what is known, and say so to all who asked if it is new."""
        shown = tuple(
            self._with_store(_with_health(device.gpu, self._health.get(uuid, Health())))
            for uuid, device in sorted(self._devices.items(), key=lambda each: each[1].index)
        )
        if shown == self._shown:
            return
        self._tell(shown)
        with self._lock:
            self._shown = shown
        self._write()
        for callback in self._callbacks:
            callback()

    def _with_store(self, gpu: NodeGpu) -> NodeGpu:
        """Return what others may have of a GPU: its model store is an MPS client, as pods are."""
        store_bytes = self._settings.store_bytes
        if store_bytes is None:
            return gpu
        return replace(gpu, max_clients=gpu.max_clients - 1, store_bytes=store_bytes)

    def _tell(self, shown: tuple[NodeGpu, ...]) -> None:
        before = {gpu.uuid: gpu for gpu in self._shown}
        for gpu in shown:
            if gpu != before.get(gpu.uuid):
                state = "healthy" if gpu.is_healthy else "unhealthy"
                _log.info('event=gpu gpu=%s state=%s note="%s"', gpu.uuid, state, gpu.note)

    def _write(self) -> None:
        self._settings.state.mkdir(parents=True, exist_ok=True)
        text = json.dumps(health.encode(self._health))
        write_atomically(self._settings.state / _HEALTH_FILE, text)


def _with_health(gpu: NodeGpu, known: Health) -> NodeGpu:
    return replace(gpu, is_healthy=known.is_healthy, note=known.note)


def _read(path: Path) -> dict[str, Health]:
    try:
        return health.decode(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}
