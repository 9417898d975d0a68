"""Trials on this machine: each replica in a session of its own, alone on a GPU."""

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gshare.errors import GshareError
from gshare.profile import ProfiledGpu
from gshare.workload import Function, Shape, Workload
from gshare_profiler.load import MODULE, Plan, arguments
from gshare_profiler.site import Counters, Place
from gshare_profiler.trial import TrialError

from .container import LONGEST_LINE, Container
from .profile_subject import shaped
from .session import Listener, Session, SessionSettings
from .views import ReplicaState, ReplicaView

TIME_SCALE: Final = 2
"""At real speed a moment's work of others on two host cores costs a trial some percent."""
_POLL_S: Final = 0.05
_ENDED: Final = (ReplicaState.FAILED, ReplicaState.COMPLETED)
_KEPT_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class LocalSite:
    """The GPUs of this machine, real or simulated."""

    function: Function
    settings: SessionSettings
    place: Place
    window_ms: int
    ready_timeout_s: float = 120.0

    @classmethod
    async def open(
        cls, function: Function, settings: SessionSettings, ready_timeout_s: float
    ) -> "LocalSite":
        """Look which GPUs there are; GshareError where there are none.

        Simulated ones run `TIME_SCALE` times slower than real where nobody has said how slow, and
        no other run uses them.
        """
        site = await cls._of(function, settings, ready_timeout_s)
        if not site.place.is_simulated or settings.gpus.time_scale is not None:
            return site
        slower = replace(settings, gpus=replace(settings.gpus, time_scale=TIME_SCALE))
        try:
            return await cls._of(function, slower, ready_timeout_s)
        except GshareError:
            return site

    @classmethod
    async def _of(
        cls, function: Function, settings: SessionSettings, ready_timeout_s: float
    ) -> "LocalSite":
        async with Session.open(settings) as session:
            gpu = session.gpus[0]
            profiled = ProfiledGpu(gpu.name, gpu.sm_count, gpu.memory_bytes)
            place = Place(profiled, session.is_simulated, session.time_scale)
            return cls(function, settings, place, session.window_ms, ready_timeout_s)

    @contextlib.asynccontextmanager
    async def serve(self, sm_percent: int, quota_percent: int) -> AsyncIterator["LocalReplica"]:
        """Have a replica of this shape, and nothing else on its GPU, while the block runs.

        It asks for all of the GPU's memory, so no other run gets a place there.
        """
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        listener = Listener(on_line=lambda _view, line: said.append(line))
        memory_bytes = self.place.gpu.memory_bytes
        shape = Shape(sm_percent, quota_percent, quota_percent, memory_bytes)
        workload = Workload((shaped(self.function, shape),))
        async with Session.open(self.settings, listener) as session:
            await session.start([workload])
            replica = LocalReplica(session)
            await replica.wait_ready(self.ready_timeout_s * self.place.time_scale, said)
            try:
                yield replica
            except TrialError as error:
                if replica.view.state in _ENDED:
                    raise TrialError(f"the server ended: {_last_of(said)} ({error})") from error
                raise


class LocalReplica:
    """The one replica of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def view(self) -> ReplicaView:
        """Return the replica as it is now."""
        return self._session.replicas[0]

    async def wait_ready(self, timeout_s: float, said: deque[str]) -> None:
        """Wait until it takes requests; TrialError, with its last words, where it does not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.view.ready:
                    if self.view.state in _ENDED:
                        raise TrialError(f"the server ended: {_last_of(said)}")
                    await asyncio.sleep(_POLL_S)
                return
        raise TrialError(f"not ready within {timeout_s:g} s: {_last_of(said)}")

    async def load(self, plan: Plan) -> AsyncGenerator[str, None]:
        """Run the load program against it; yield its lines."""
        url = f"http://127.0.0.1:{self.view.port}"
        command = [sys.executable, "-m", MODULE, *arguments(plan, url)]
        reader = asyncio.StreamReader(LONGEST_LINE)
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        pipe, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        try:
            program = Container.start(command, os.environ, Path.cwd(), writing)
        except OSError as error:
            pipe.close()
            raise GshareError(f"cannot start the load: {error.strerror}") from error
        finally:
            os.close(writing)
        try:
            async for line in reader:
                yield line.decode(errors="replace")
        finally:
            program.kill()
            await program.wait()
            pipe.close()

    async def counters(self) -> Counters | None:
        """Return its GPU's counters, None while there are none."""
        gpus = self._session.snapshot().gpus
        if not gpus or not gpus[0].leases:
            return None
        gpu = gpus[0]
        return Counters(
            at_s=gpu.now_ns / 1e9,
            busy_s=gpu.busy_ns / 1e9,
            sm_s=gpu.sm_time_ns / 1e9 / gpu.sm_count,
            memory_bytes=gpu.leases[0].memory_bytes,
        )


def _last_of(said: deque[str]) -> str:
    lines = [line.strip() for line in said if line.strip()]
    return lines[-1] if lines else "it said nothing"
