"""A client of the token daemon that speaks `wire.h` by mapped pages, as the hook does.

`FakeClient` does one step at a time, for tests that look at each. Run as a program it plays a
saturated hook: `python fake_client.py LEASE_DIR SECONDS` joins each grant, "computes"
until the gate closes, reports its time and acks. It comes back to a daemon that was away.
"""

import contextlib
import ctypes
import mmap
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

from gshare import names, wire

_WORD = struct.Struct("=I")
_LONG = struct.Struct("=Q")
_LIBC = ctypes.CDLL(None)
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98}[os.uname().machine]
_FUTEX_WAKE = 1


class FakeClient:
    """One connection, one slot. Attribute-like access to the slot's fields by `get` and `set`."""

    def __init__(self, lease: Path, *, slot: int = -1, pid: int | None = None) -> None:
        self.lease = lease
        self.pid = pid or os.getpid()
        self.connection = dial(lease)
        self.welcome, doorbell = self._greet(wire.pack_hello(slot, self.pid))
        if self.welcome.status != wire.WELCOME_OK:
            raise PermissionError(f"welcome status {self.welcome.status}")
        self.slot = self.welcome.slot
        self._bell = mmap.mmap(doorbell, mmap.PAGESIZE)
        os.close(doorbell)
        self._grant = _map(lease / names.FILE_GRANT, wire.GRANT_BYTES, write=False)
        self._counters = _map(lease / names.FILE_COUNTERS, wire.COUNTERS_BYTES, write=True)

    @property
    def grant(self) -> wire.Grant:
        return wire.unpack_grant(self._grant[:])

    def get(self, name: str) -> int:
        layout = _WORD if wire.SLOT_OFFSETS[name] < 16 else _LONG
        return int(layout.unpack_from(self._counters, self._at(name))[0])

    def set(self, name: str, value: int) -> None:
        layout = _WORD if wire.SLOT_OFFSETS[name] < 16 else _LONG
        layout.pack_into(self._counters, self._at(name), value)

    def ring(self) -> None:
        """Add one and wake; the futex call goes by number, as Python has no name for it."""
        (rings,) = _WORD.unpack_from(self._bell, wire.DOORBELL_RINGS_OFFSET)
        _WORD.pack_into(self._bell, wire.DOORBELL_RINGS_OFFSET, (rings + 1) & 0xFFFFFFFF)
        _wake(self._bell, wire.DOORBELL_RINGS_OFFSET)

    def silence(self) -> None:
        """Undo all rings."""
        _WORD.pack_into(self._bell, wire.DOORBELL_RINGS_OFFSET, 0)

    def want(self, wants: bool = True) -> None:  # noqa: FBT001, FBT002 (reads as said)
        self.set("wants", int(wants))
        self.ring()

    def await_token(self, timeout_s: float = 2.0) -> int:
        """Poll until there is a token newer than the last one acked; return its epoch."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            epoch = self.grant.epoch
            if epoch not in {0, self.get("acked_epoch")}:
                return epoch
            time.sleep(0.0002)
        raise TimeoutError(f"no token for {self.lease.name}")

    def join(self, timeout_s: float = 2.0) -> int:
        """Take part in the grant in force, or the next; return its epoch."""
        while True:
            epoch = self.await_token(timeout_s)
            self.set("active_epoch", epoch)
            if self.grant.epoch == epoch:
                return epoch
            self.set("acked_epoch", epoch)
            self.ring()

    def hold(self, used_ns: int | None = None, timeout_s: float = 2.0) -> int:
        """Join, compute until the gate closes, ack with the time that went by; return it."""
        epoch = self.join(timeout_s)
        began = time.monotonic_ns()
        while self.grant.epoch == epoch and time.monotonic_ns() < self.grant.deadline_ns:
            time.sleep(0.0002)
        used = time.monotonic_ns() - began if used_ns is None else used_ns
        self.ack(epoch, used)
        return used

    def ack(self, epoch: int, used_ns: int, busy_ns: int | None = None) -> None:
        """Report what was used, all of it busy unless said; then give the epoch back."""
        self.set("used_ns", self.get("used_ns") + used_ns)
        self.set("busy_ns", self.get("busy_ns") + (used_ns if busy_ns is None else busy_ns))
        self.set("acked_epoch", epoch)
        self.ring()

    def hang_up(self) -> None:
        self.connection.close()

    def come_back(self) -> "FakeClient":
        """Connect to the daemon's successor, asking for the same slot; ourselves if all is well."""
        ready, _, _ = select.select([self.connection], [], [], 0)
        if not ready:
            return self
        try:
            again = FakeClient(self.lease, slot=self.slot, pid=self.pid)
        except OSError:
            return self
        again.want(wants=bool(self.get("wants")))
        return again

    def _greet(self, hello: bytes) -> tuple[wire.Welcome, int]:
        self.connection.send(hello)
        message, doorbells, _, _ = socket.recv_fds(self.connection, wire.WELCOME.size, 1)
        return wire.unpack_welcome(message), doorbells[0] if doorbells else -1

    def _at(self, name: str) -> int:
        return wire.slot_offset(self.slot) + wire.SLOT_OFFSETS[name]


def dial(place: Path, name: str = names.FILE_TOKEN_SOCKET) -> socket.socket:
    """Return a connection to a folder's socket, whose path may be too long for an address."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(2)
        connection.connect(f"/proc/self/fd/{folder}/{name}")
        return connection
    finally:
        os.close(folder)


def _map(file: Path, size: int, *, write: bool) -> mmap.mmap:
    access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
    with file.open("r+b" if write else "rb") as opened:
        return mmap.mmap(opened.fileno(), size, access=access)


def _wake(page: mmap.mmap, offset: int) -> None:
    word = ctypes.c_uint32.from_buffer(page, offset)
    _LIBC.syscall(_SYS_FUTEX, ctypes.byref(word), _FUTEX_WAKE, 2**31 - 1, None, None, 0)
    del word


def main() -> None:
    client = FakeClient(Path(sys.argv[1]))
    end = time.monotonic() + float(sys.argv[2])
    client.want()
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            client.hold(timeout_s=0.005)
        client = client.come_back()
    client.want(False)  # noqa: FBT003 (reads as said)


if __name__ == "__main__":
    main()
