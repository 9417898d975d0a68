"""A session runs workloads on this machine's GPUs: `gshare up` and `gshare demo` are built on it.

The session is the shell around three deciders that live elsewhere: placement (core), readiness and
restarts (`probes`, `restarts`). It holds one run of the state directory, so everything it started
is found and ended by the next run even if this process is killed.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.modes import Timetable
from gshare.runtime.local_node import Refused
from gshare.runtime.native import Native
from gshare.runtime.state import LeaseRecord
from gshare.workload import Function, Workload, check_card, combine

from . import usage
from .gpus import GpuSettings
from .node import Node
from .replica import Ears, Replica, Seat
from .services import LocalServices
from .trouble import Trouble
from .views import GpuView, ReplicaState, ReplicaView, ServiceView

KEEP_PERIOD_S: Final = 0.5


def default_state_directory() -> Path:
    """Return the state directory of this user: GSHARE_STATE_DIR, or one on a tmpfs."""
    given = os.environ.get(names.ENV_STATE_DIR) or f"/dev/shm/gshare-{os.getuid()}"  # noqa: S108
    return Path(given).absolute()


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session runs."""

    gpus: GpuSettings = field(default_factory=GpuSettings)
    """Which GPUs it uses."""
    window_ms: int = 40
    """The token window on a real GPU; a simulated one's time scale multiplies it."""
    longest_grace_s: float = 5.0
    """Upper bound of terminationGracePeriodSeconds: one's own machine should stop soon."""
    state_directory: Path = field(default_factory=default_state_directory)
    """Where runs on this machine share their GPUs; must be on a tmpfs."""
    native: Native = field(
        default_factory=lambda: Native.locate(os.environ.get(names.ENV_NATIVE_DIR))
    )
    """The compiled parts."""


class DoesNotFitError(GshareError):
    """Replicas that no GPU has room for; nothing was started."""

    def __init__(self, refused: Sequence[tuple[Function, Refused]]) -> None:
        self.refused = tuple(refused)
        function, first = self.refused[0]
        others = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
        super().__init__(
            f"{function.source}: {function.kind_and_name} spec.replicas: {function.replicas}: "
            f"does not fit{others}: {first.text}; "
            "with --watch it stays Pending until there is room"
        )


@dataclass(slots=True)
class Listener:
    """Who is told what the replicas say and what happens to them; by default nobody."""

    on_line: Callable[[ReplicaView, str], None] = lambda _view, _line: None
    """One line of a replica's output."""
    on_event: Callable[[ReplicaView, str], None] = lambda _view, _text: None
    """An end or a restart, in one line."""
    on_trouble: Callable[[str], None] = lambda _text: None
    """Something that is wrong with the machine and will be tried again, in one line."""


class Session:
    """Workloads running on this machine. Made by `open`; all calls from the event loop's thread."""

    def __init__(self, settings: SessionSettings, node: Node, listener: Listener) -> None:
        self._settings = settings
        self._node = node
        self._replicas: list[Replica] = []
        self._services = LocalServices(self._replicas)
        self._tasks: dict[Replica, asyncio.Task[None]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._is_hurried = False
        self._trouble = Trouble(listener.on_trouble)
        self._changed = asyncio.Event()
        self._listener = listener
        self._ears = Ears(
            on_line=lambda replica, line: listener.on_line(self._view(replica), line),
            on_event=lambda replica, text: listener.on_event(self._view(replica), text),
            on_process=self._on_process,
            on_state=self._changed.set,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, settings: SessionSettings, listener: Listener | None = None
    ) -> AsyncIterator["Session"]:
        """Find or make the GPUs, clean up after dead runs, and stop everything at the end.

        GshareError where there are no compiled parts, other runs use other GPUs, or MPS is away.
        """
        node = Node.open(
            settings.state_directory,
            f"up-{os.getpid()}-{secrets.token_hex(4)}",
            settings.gpus,
            settings.window_ms,
            settings.native,
        )
        try:
            session = cls(settings, node, listener or Listener())
            try:
                yield session
            finally:
                await session.stop()
        finally:
            node.close()

    @property
    def is_simulated(self) -> bool:
        """Tell whether the GPUs are simulated ones."""
        return self._node.is_simulated

    @property
    def time_scale(self) -> int:
        """Return how many times slower than real the simulated GPUs are; 1 on real ones."""
        return self._node.time_scale

    @property
    def window_ms(self) -> int:
        """Return the token window, time scale included."""
        return self._node.window_us // 1000

    @property
    def gpus(self) -> tuple[GpuView, ...]:
        """Return this machine's GPUs."""
        return self._node.gpus

    @property
    def replicas(self) -> tuple[ReplicaView, ...]:
        """Return all replicas as they are now, in the order of the files."""
        layouts = self._node.layouts()
        return tuple(self._view(replica, layouts) for replica in self._replicas)

    @property
    def services(self) -> tuple[ServiceView, ...]:
        """Return every port of every Service."""
        return self._services.views()

    async def start(self, workloads: Sequence[Workload], *, may_wait: bool = False) -> None:
        """Place and start every replica, and open the Services' ports.

        DoesNotFitError if a replica has no room, unless it `may_wait`: then it is Pending and
        starts when there is. InputError if one asks for more memory than the largest GPU has.
        Either is raised before anything is started.
        """
        workload = combine(workloads)
        largest = max(gpu.memory_bytes for gpu in self.gpus)
        for function in workload.functions:
            check_card(function, largest)
        made = [
            Replica(function, index, self._ears)
            for function in workload.functions
            for index in range(function.replicas)
        ]
        self._admit(made, whole=not may_wait)
        self._replicas += made
        for service in workload.services:
            await self._services.open(service)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until every placed replica is ready; GshareError names those that are not."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._unready():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            late = ", ".join(
                f"{each.name} ({each.message or each.state})" for each in self._unready()
            )
            raise GshareError(f"not ready after {timeout_s:g} s: {late}") from None

    def snapshot(self) -> usage.Snapshot:
        """Return the counters of the GPUs that our replicas are on."""
        return self._node.snapshot()

    def hurry(self) -> None:
        """Kill everything that is being stopped, without waiting for its grace to end."""
        self._is_hurried = True
        for replica in self._replicas:
            replica.kill()

    async def stop(self) -> None:
        """Stop all replicas, each with its grace, and drain the Services; safe to repeat."""
        if self._keeping:
            self._keeping.cancel()
            self._keeping = None
        await asyncio.gather(
            *(self._stop(replica) for replica in self._replicas),
            self._services.drain(self._settings.longest_grace_s),
        )
        if self._node.leases:
            self._node.release([lease.lease_id for lease in self._node.leases])

    async def _stop(self, replica: Replica) -> None:
        asked = replica.function.termination_grace_seconds
        grace_s = 0 if self._is_hurried else min(asked, self._settings.longest_grace_s)
        await replica.stop(grace_s)
        task = self._tasks.pop(replica, None)
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _admit(self, candidates: Sequence[Replica], *, whole: bool) -> None:
        """Place replicas, and start those that found room."""
        by_name = {replica.name: replica for replica in candidates}
        admission = self._node.admit([replica.demand for replica in candidates], whole=whole)
        if whole and admission.refused:
            raise DoesNotFitError(
                [(by_name[each.demand.replica].function, each) for each in admission.refused]
            )
        self._trouble.is_now(admission.trouble)
        for refused in admission.refused:
            by_name[refused.demand.replica].message = refused.text
        for lease in admission.leases:
            replica = by_name[lease.replica]
            replica.take(self._seat(replica, lease))
            task = asyncio.create_task(replica.run())
            task.add_done_callback(self._on_run_end)
            self._tasks[replica] = task

    def _seat(self, replica: Replica, lease: LeaseRecord) -> Seat:
        declared = [port.number for port in replica.function.container.ports]
        local = self._node.take_ports(len(declared))
        return Seat(
            lease=lease,
            lease_folder=self._node.lease_folder(lease),
            gpu_index=next(gpu.index for gpu in self.gpus if gpu.uuid == lease.gpu_uuid),
            local_ports=dict(zip(declared, local, strict=True)),
            env=self._node.environment(lease, replica.function.hook),
        )

    def _unready(self) -> list[Replica]:
        settled = (ReplicaState.PENDING, ReplicaState.COMPLETED)
        return [
            replica
            for replica in self._replicas
            if not replica.is_ready and replica.state not in settled
        ]

    def _on_run_end(self, task: asyncio.Task[None]) -> None:
        """Tell of an error that nobody expected; the replica stays down."""
        if not task.cancelled() and (error := task.exception()):
            self._listener.on_trouble(f"a replica cannot run: {error!r}")

    def _on_process(self, replica: Replica, pid: int | None) -> None:
        if replica.seat:
            self._node.started(replica.seat.lease.lease_id, pid)

    def _view(
        self, replica: Replica, layouts: Mapping[str, Timetable] | None = None
    ) -> ReplicaView:
        lease = replica.seat.lease if replica.seat else None
        if lease is None or layouts is None or lease.lease_id not in layouts[lease.gpu_uuid].keys:
            return replica.view(())
        pieces = layouts[lease.gpu_uuid].pieces
        return replica.view(tuple(at for key, at in pieces if key == lease.lease_id))

    async def _keep(self) -> None:
        """Start daemons again that died, and pending replicas that there is room for now."""
        while True:
            await asyncio.sleep(KEEP_PERIOD_S)
            try:
                self._trouble.is_now(self._look_after())
            except (GshareError, OSError) as error:
                self._trouble.is_now(str(error))

    def _look_after(self) -> str:
        trouble = self._node.keep()
        waiting = [each for each in self._replicas if each.state is ReplicaState.PENDING]
        if waiting:
            self._admit(waiting, whole=False)
        return trouble
