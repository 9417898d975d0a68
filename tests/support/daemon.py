"""A token daemon on a folder of its own, with leases of sane defaults."""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from gshare import names, wire
from gshare.runtime.native import Native
from gshare.runtime.tokend import TokenDaemon, write_timetable

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


class Node:
    """The folder of one GPU, its daemon, and what a node does to its leases."""

    def __init__(self, folder: Path, window_us: int, flags: tuple[str, ...]) -> None:
        self.folder = folder
        self.daemon = TokenDaemon(folder, window_us, native().tokend, flags=flags)
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
    *leases: wire.Limits, window_us: int = WINDOW_US, flags: tuple[str, ...] = ()
) -> Iterator[Node]:
    """Run a daemon for `leases` in a folder whose path is longer than a socket's address."""
    shared = Path("/dev/shm")  # noqa: S108 (pages must lie on tmpfs)
    folder = Path(mkdtemp(prefix="gshare-test-", dir=shared))
    made = Node(folder / ("long-" * 24) / "gpu", window_us, flags)
    made.folder.mkdir(parents=True)
    try:
        made.write(*leases)
        made.daemon.start()
        yield made
    finally:
        made.daemon.stop()
        shutil.rmtree(folder)


def eventually(claim: Callable[[], bool], timeout_s: float = 2.0) -> bool:
    """Tell whether `claim` comes true within the time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.002)
    return claim()
