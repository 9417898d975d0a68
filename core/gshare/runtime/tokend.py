"""Talks to a GPU's token daemon: its timetable file and its control socket.

The daemon keeps no state that matters beyond its GPU's directory: killed at any line, it is
started again on the same directory, takes up the timetable, and its clients connect again.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.wire import Limits

_REPLY_BYTES: Final = 1 << 17
_TITLE: Final = "gshare-timetable 1"


class TokenDaemonError(GshareError):
    """The token daemon of a GPU is away, or refused a request; the text is its answer."""


@dataclass(frozen=True, slots=True)
class GpuStats:
    """A GPU's counters since its daemon started.

    `max_concurrent_sm_percent` is the largest sum of SM partitions that held a token, or still
    drained one, at the same moment.
    """

    now_ns: int
    window_us: int
    max_concurrent_sm_percent: int
    grants: int
    slips: int
    late_ns_max: int


@dataclass(frozen=True, slots=True)
class LeaseStats:
    """A lease's counters since the daemon knows it.

    `used_ns` is charged: the time from first to last work under each token. In `busy_ns` of it the
    GPU had work. `reserved_ns` and `borrowed_ns` are the parts within and beyond the request.
    """

    lease_id: str
    sm_percent: int
    quota_request_percent: int
    quota_limit_percent: int
    used_ns: int
    busy_ns: int
    reserved_ns: int
    borrowed_ns: int
    grants: int
    waits: int
    holds: bool
    wants: bool
    processes: int
    memory_bytes: int
    host_bytes: int
    imported_bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a token daemon counts."""

    gpu: GpuStats
    leases: tuple[LeaseStats, ...]

    def lease(self, lease_id: str) -> LeaseStats:
        """Return one lease's counters. Raises KeyError for a lease that is not there."""
        for each in self.leases:
            if each.lease_id == lease_id:
                return each
        raise KeyError(lease_id)


@dataclass(frozen=True, slots=True)
class Control:
    """The control socket of a GPU's token daemon. Each call is one short connection."""

    directory: Path
    timeout_s: float = field(default=5.0, kw_only=True)

    def ping(self) -> None:
        """Return if the daemon answers. Raises TokenDaemonError otherwise."""
        self._ask("ping")

    def reload(self) -> int:
        """Have the timetable read again; return how many leases it names.

        Raises TokenDaemonError if the daemon refuses it: then nothing has changed. Or if a lease
        could not be opened (a full disk, no folder): the others are in force, and the daemon tries
        that one again ten times a second while it is named.
        """
        return int(_fields(self._ask("reload"))["leases"])

    def stats(self) -> Stats:
        """Return the daemon's counters. Raises TokenDaemonError."""
        first, *rest = self._ask("stats").splitlines()
        return Stats(_gpu_stats(first), tuple(_lease_stats(line) for line in rest))

    def try_stats(self) -> Stats | None:
        """Return the daemon's counters; None while it is away or refuses."""
        try:
            return self.stats()
        except TokenDaemonError:
            return None

    def _ask(self, request: str) -> str:
        try:
            answer = self._exchange(request)
        except OSError as error:
            raise TokenDaemonError(f"token daemon of {self.directory.name}: {error}") from error
        if not answer or answer.startswith("error"):
            raise TokenDaemonError(f"token daemon of {self.directory.name}: {answer or 'hung up'}")
        return answer

    def _exchange(self, request: str) -> str:
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                connection.settimeout(self.timeout_s)
                connection.connect(f"/proc/self/fd/{folder}/{names.FILE_CONTROL_SOCKET}")
                connection.send(request.encode())
                return connection.recv(_REPLY_BYTES).decode(errors="replace")
        finally:
            os.close(folder)


def write_timetable(directory: Path, leases: Iterable[Limits]) -> None:
    """Write the timetable that names `leases`, in one step: a reader sees all of it or the last."""
    text = "\n".join([_TITLE, *(_line(lease) for lease in leases), ""])
    new = directory / f".{names.FILE_TIMETABLE}.new"
    new.write_text(text)
    new.replace(directory / names.FILE_TIMETABLE)


def _line(lease: Limits) -> str:
    slices = ",".join(f"{each.start_percent}+{each.width_percent}" for each in lease.slices)
    return (
        f"lease {lease.lease_id} sm={lease.sm_percent} request={lease.quota_request_percent} "
        f"limit={lease.quota_limit_percent} slices={slices}"
    )


def _fields(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name: value for name, equals, value in pairs if equals}


def _gpu_stats(line: str) -> GpuStats:
    counts = _fields(line)
    return GpuStats(**{name: int(counts[name]) for name in GpuStats.__slots__})


def _lease_stats(line: str) -> LeaseStats:
    counts = {name: int(value) for name, value in _fields(line).items()}
    return LeaseStats(
        lease_id=line.split()[1],
        sm_percent=counts["sm"],
        quota_request_percent=counts["request"],
        quota_limit_percent=counts["limit"],
        used_ns=counts["used_ns"],
        busy_ns=counts["busy_ns"],
        reserved_ns=counts["reserved_ns"],
        borrowed_ns=counts["borrowed_ns"],
        grants=counts["grants"],
        waits=counts["waits"],
        holds=bool(counts["holds"]),
        wants=bool(counts["wants"]),
        processes=counts["processes"],
        memory_bytes=counts["memory_bytes"],
        host_bytes=counts["host_bytes"],
        imported_bytes=counts["imported_bytes"],
    )
