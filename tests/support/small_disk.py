"""A tmpfs of some pages in a mount namespace of its own: nothing of it stays, however we end."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gshare.runtime import processes

_HOLD = "mount -t tmpfs -o size=$0,mode=755 tmpfs /mnt && echo made && exec cat"


@contextmanager
def small_disk(size_bytes: int) -> Iterator[Path]:
    """Mount one; its path leads through the root of the process that keeps it. Needs root."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _HOLD, str(size_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 (prctl alone: safe after fork)
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"made\n"
        yield Path(f"/proc/{holder.pid}/root/mnt")
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no page free on a disk, for a while."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as opened:
        left = os.statvfs(disk)
        opened.write(bytes(left.f_bfree * left.f_frsize))
    try:
        yield
    finally:
        ballast.unlink()
