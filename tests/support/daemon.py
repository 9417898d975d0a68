"""A token daemon on a folder of its own, with leases of sane defaults."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from gshare import names, wire
from gshare.runtime import processes, tokend
from gshare.runtime.native import Native
from gshare.runtime.tokend import write_timetable

WINDOW_US = 40_000


def native() -> Native:
    """Return the compiled parts: those that the environment names, e.g. a sanitizer build."""
    return Native.locate(os.environ.get(names.ENV_NATIVE_DIR))


def limits(lease_id: str = "a", **changes: object) -> wire.Limits:
    """Return a lease of 60 % of the SMs and 40 % of the time, changed by `changes`."""
    request = changes.get("quota_request_percent", 40)
    assert isinstance(request, int)
    default = wire.Limits(
        lease_id=lease_id,
        gpu_uuid="GPU-0",
        sm_percent=60,
        quota_request_percent=request,
        quota_limit_percent=max(request, 40),
        slices=(wire.Slice(0, request),),
    )
    return dataclasses.replace(default, **changes)  # type: ignore[arg-type]


class ChildDaemon:
    """The daemon's process, our child: it ends when we do, however we end."""

    def __init__(
        self,
        directory: Path,
        window_us: int,
        binary: Path,
        *,
        flags: tuple[str, ...] = (),
        log: IO[bytes] | None = None,
    ) -> None:
        """Name the GPU's directory, the window in microseconds, the program; `log` is its stderr.

        `flags` are passed on as they are, e.g. `--no-fifo`.
        """
        self.directory = directory
        self.control = tokend.Control(directory)
        self._command = [str(binary), "--dir", str(directory), "--window-us", str(window_us)]
        self._command += flags
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running daemon's process id."""
        return self._process.pid if self._process and self.is_alive() else None

    def start(self, timeout_s: float = 5.0) -> None:
        """Start it and wait until it answers. TokenDaemonError if it does not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = self._spawn()
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._process.poll() is not None:
                raise tokend.TokenDaemonError(
                    f"{self._command[0]}: ended with {self._process.returncode}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise tokend.TokenDaemonError(f"{self._command[0]}: no answer within {timeout_s} s")
            time.sleep(0.005)

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log if self._log is not None else subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
            )
        except OSError as error:
            raise tokend.TokenDaemonError(f"{self._command[0]}: {error.strerror}") from error

    def stop(self, timeout_s: float = 2.0) -> None:
        """End it; by force where it does not end in time. Safe to repeat.

        TokenDaemonError if it ran and ends with anything but 0: a sanitizer has found something.
        """
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            raise tokend.TokenDaemonError(f"{self._command[0]}: ended with {code}")

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        with contextlib.suppress(tokend.TokenDaemonError):
            self.control.ping()
            return self.is_alive()
        return False


class Node:
    """The folder of one GPU, its daemon, and what a node does to its leases."""

    def __init__(self, folder: Path, window_us: int, flags: tuple[str, ...]) -> None:
        self.folder = folder
        self.daemon = ChildDaemon(folder, window_us, native().tokend, flags=flags)
        self.control = self.daemon.control

    def lease(self, lease_id: str) -> Path:
        return self.folder / names.FOLDER_LEASES / lease_id

    def write(self, *leases: wire.Limits) -> None:
        """Make folders and limits, then the timetable."""
        for each in leases:
            folder = self.lease(each.lease_id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / names.FILE_LIMITS).write_bytes(wire.pack_limits(each))
        write_timetable(self.folder, leases)

    def set(self, *leases: wire.Limits) -> None:
        """Write the leases and have the daemon follow."""
        self.write(*leases)
        self.control.reload()


@contextmanager
def node(
    *leases: wire.Limits,
    window_us: int = WINDOW_US,
    flags: tuple[str, ...] = (),
    disk: Path = Path("/dev/shm"),  # noqa: S108 (pages must lie on tmpfs)
) -> Iterator[Node]:
    """Run a daemon for `leases` in a folder whose path is longer than a socket's address."""
    folder = Path(mkdtemp(prefix="gshare-test-", dir=disk))
    made = Node(folder / ("long-" * 24) / "gpu", window_us, flags)
    made.folder.mkdir(parents=True)
    try:
        made.write(*leases)
        made.daemon.start()
        yield made
    finally:
        try:
            made.daemon.stop()
        finally:
            shutil.rmtree(folder)


def eventually(claim: Callable[[], bool], timeout_s: float = 2.0) -> bool:
    """Tell whether `claim` comes true within the time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.002)
    return claim()
