"""One local process that stands for a container: started, followed, stopped.

It opens a session of its own, so that signals reach all of its children, and dies with us. Nothing
here uses threads: a process that forks must have none.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gshare.runtime import processes

LONGEST_LINE: Final = 16_384
_EXIT_SIGNALLED: Final = 128


class Container:
    """A started process; `wait` for its end before anything else is done under its lease."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._descriptor = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_end)

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        working_dir: Path,
        output: int | None = None,
    ) -> "Container":
        """Start `argv`; its output goes to the descriptor `output`, or nowhere.

        OSError if the command or the directory is not there. Call from the main thread, on a
        running event loop.
        """
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=working_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if output is None else output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (we have no threads)
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """Return the id of the process, which is also that of its session and its group."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code; 128 + number if a signal ended it, as a shell would say."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float) -> None:
        """Ask the process group to end; kill it if the process still runs after `grace_s`."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group, unless the process has ended."""
        if self._ended.done():
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # all gone, or only zombies left
            return

    def kill(self) -> None:
        """Kill what is left of the process group."""
        self.signal(signal.SIGKILL)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.kill()  # its children end with it, as a container's do; a zombie keeps its group id
        code = self._process.wait()
        self._ended.set_result(code if code >= 0 else _EXIT_SIGNALLED - code)


class Lines(asyncio.Protocol):
    """The reading end of a pipe, cut into lines of at most LONGEST_LINE bytes."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    @classmethod
    async def open(cls, on_line: Callable[[str], None]) -> tuple[int, asyncio.ReadTransport]:
        """Return the writing end of a new pipe whose lines go to `on_line`, and its reader."""
        reading, writing = os.pipe()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: cls(on_line), os.fdopen(reading, "rb", buffering=0)
        )
        return writing, transport

    def data_received(self, data: bytes) -> None:
        """Pass on every line that is complete."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._say(line)
        while len(self._rest) >= LONGEST_LINE:
            self._say(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on a last line that was not ended."""
        del exc
        if self._rest:
            self._say(self._rest)

    def _say(self, line: bytes) -> None:
        self._on_line(line.decode(errors="replace").rstrip("\r"))
