"""One replica: its process started, probed, restarted and stopped, as the kubelet would."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gshare import names
from gshare.rectangles import Rectangle
from gshare.runtime import processes
from gshare.runtime.local_node import Demand
from gshare.runtime.state import LeaseRecord
from gshare.workload import Function, Launch, launch_of
from gshare.workload.values import DEFAULT_NAMESPACE

from . import probes
from .container import Container, Lines
from .restarts import BackOff, starts_again
from .views import ReplicaState, ReplicaView

_NOT_STARTED: Final = 127


@dataclass(frozen=True, slots=True)
class Seat:
    """What a replica got of the machine: lease, GPU, local ports, and what its process needs."""

    lease: LeaseRecord
    lease_folder: Path
    gpu_index: int
    local_ports: Mapping[int, int]
    """From the container ports that it declares to free local ports."""
    env: Mapping[str, str]
    """The variables of the hook, the GPU and the run."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told what happens: a line of output, an event worth a line, a process started."""

    on_line: Callable[["Replica", str], None]
    on_event: Callable[["Replica", str], None]
    on_process: Callable[["Replica", int | None], None]
    on_state: Callable[[], None]


class Replica:
    """One replica of a function; it must `take` a seat on a GPU before it can `run`."""

    def __init__(self, function: Function, index: int, ears: Ears) -> None:
        self.function = function
        self.pod_name = f"{function.name}-{index}"
        is_default = function.namespace == DEFAULT_NAMESPACE
        self.name = self.pod_name if is_default else f"{function.namespace}/{self.pod_name}"
        self.state = ReplicaState.PENDING
        self.is_ready = False
        self.restarts = 0
        self.message = ""
        self.seat: Seat | None = None
        self._ears = ears
        self._container: Container | None = None
        self._is_stopping = False
        self._back_off = BackOff()

    @property
    def demand(self) -> Demand:
        """Return what the replica asks of the node."""
        shape = self.function.shape
        return Demand(
            replica=self.name,
            function=self.function.family,
            sm_percent=shape.sm_percent,
            quota_request_percent=shape.quota_request_percent,
            quota_limit_percent=shape.quota_limit_percent,
            memory_bytes=shape.memory_bytes,
            namespace=self.function.namespace,
            pod=self.pod_name,
            model=shape.model,
        )

    def take(self, seat: Seat) -> None:
        """Take a place on a GPU; no longer pending."""
        self.seat = seat
        self.message = ""
        self._become(ReplicaState.STARTING)

    async def run(self) -> None:
        """Run the command in the seat taken, again and again as the restart policy says."""
        clock = asyncio.get_running_loop().time
        while self.seat and not self._is_stopping:
            started = clock()
            code = await self._run_once(self.seat)
            if self._is_stopping:
                return
            if not starts_again(self.function.container.restart_policy, code):
                self._become(ReplicaState.FAILED if code else ReplicaState.COMPLETED)
                self._ears.on_event(self, f"ended with exit code {code}")
                return
            self._back_off = self._back_off.after_end(clock() - started)
            self._become(ReplicaState.BACKING_OFF)
            why = self.message if code == _NOT_STARTED and self.message else f"exit code {code}"
            self.message = f"{why}; starts again in {self._back_off.pause_s} s"
            self._ears.on_event(self, self.message)
            await asyncio.sleep(self._back_off.pause_s)
            self.restarts += 1

    async def stop(self, grace_s: float) -> None:
        """End the process: SIGTERM, `grace_s`, SIGKILL; no service sends it requests any more."""
        self._is_stopping = True
        self.is_ready = False
        self._become(ReplicaState.TERMINATING)
        if self._container:
            await self._container.stop(grace_s)
        self._end_strays()

    def kill(self) -> None:
        """End the process at once."""
        self._is_stopping = True
        if self._container:
            self._container.kill()

    def _become(self, state: ReplicaState) -> None:
        self.state = state
        self._ears.on_state()

    def view(self, pieces: tuple[Rectangle, ...]) -> ReplicaView:
        """Return the replica as it is now, its GPU's layout being the caller's knowledge."""
        seat, shape = self.seat, self.function.shape
        return ReplicaView(
            name=self.name,
            function=self.function.family,
            lease_id=seat.lease.lease_id if seat else None,
            gpu_uuid=seat.lease.gpu_uuid if seat else None,
            gpu_index=seat.gpu_index if seat else None,
            pieces=pieces,
            sm_percent=shape.sm_percent,
            quota_request_percent=shape.quota_request_percent,
            quota_limit_percent=shape.quota_limit_percent,
            memory_bytes=seat.lease.memory_bytes if seat else shape.memory_bytes or 0,
            port=next(iter(seat.local_ports.values()), None) if seat else None,
            pid=self._container.pid if self._container else None,
            state=self.state,
            ready=self.is_ready,
            restarts=self.restarts,
            message=self.message,
        )

    async def _run_once(self, seat: Seat) -> int:
        launch = self._launch(seat)
        directory = self._directory(launch)
        self._become(ReplicaState.STARTING)
        try:
            container = await self._start(launch, directory)
        except OSError as error:
            self.message = f"cannot start {launch.argv[0]!r} in {directory}: {error.strerror}"
            return _NOT_STARTED
        self._container = container
        self._ears.on_process(self, container.pid)
        surroundings = probes.Surroundings(seat.local_ports, launch.env, directory)
        probing = asyncio.create_task(
            probes.watch(self.function.container.readiness, surroundings, self._on_readiness)
        )
        try:
            return await container.wait()
        finally:
            probing.cancel()
            container.kill()
            self.is_ready = False
            self._container = None
            self._end_strays()
            self._ears.on_process(self, None)

    async def _start(self, launch: Launch, directory: Path) -> Container:
        writing, reader = await Lines.open(lambda line: self._ears.on_line(self, line))
        try:
            return Container.start(launch.argv, launch.env, directory, writing)
        except OSError:
            reader.close()
            raise
        finally:
            os.close(writing)

    def _launch(self, seat: Seat) -> Launch:
        """Return the command and its whole environment, our own beneath the container's."""
        ports = {f"PORT_{number}": str(port) for number, port in seat.local_ports.items()}
        first = next(iter(seat.local_ports.values()), None)
        given = {**seat.env, **ports, **({} if first is None else {"PORT": str(first)})}
        launch = launch_of(self.function, self.pod_name, given)
        return replace(launch, env={**_INHERITED, **os.environ, **launch.env})

    def _directory(self, launch: Launch) -> Path:
        """Return the working directory; a relative one stands beside the file."""
        return Path(self.function.source).resolve().parent / (launch.working_dir or "")

    def _on_readiness(self, is_ready: bool) -> None:  # noqa: FBT001 (a probe's answer)
        self.is_ready = is_ready and not self._is_stopping
        if self._is_stopping:
            return
        if is_ready:
            self.message = ""
        self._become(ReplicaState.RUNNING if is_ready else ReplicaState.STARTING)

    def _end_strays(self) -> None:
        """End processes that left the group of the one that ended, told by their lease."""
        if self.seat is None:
            return
        folder = str(self.seat.lease_folder)
        for pid in processes.carrying(names.ENV_LEASE_DIR, folder):
            processes.send(pid, 9)


# Lines of a Python server come at once although it writes to a pipe; containers may say otherwise.
_INHERITED: Final = {"PYTHONUNBUFFERED": "1"}
