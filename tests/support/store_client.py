"""A model store's process, and a client of it that says exactly what a test wants said."""

import contextlib
import fcntl
import hashlib
import itertools
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from gshare_modelstore import index, protocol
from gshare_modelstore.index import IndexEntry
from gshare_modelstore.protocol import Ask, Mechanism, Op, Reply, Request, Status, Tier
from gshare_modelstore.sharing import SEALED

START_S = 20.0
ANSWER_S = 20.0


def content(fill: bytes = b"\x01", size_bytes: int = 4096, name: str = "weight") -> bytes:
    """Return safetensors content with one tensor of bytes."""
    header = {name: {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + fill * size_bytes


def memfd(data: bytes, seals: int = SEALED) -> int:
    """Return a memfd with `data`, sealed as told."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@dataclass(slots=True)
class Given:
    """A reply, with the descriptors that came with it."""

    reply: Reply
    descriptors: list[int] = field(default_factory=list)

    @property
    def status(self) -> Status:
        return self.reply.status

    @property
    def entries(self) -> tuple[IndexEntry, ...]:
        """The index that came."""
        return index.unpack(os.pread(self.descriptors[0], self.reply.index_bytes, 0))

    @property
    def bytes(self) -> bytes:
        """The first tensor's bytes, of weights in a memfd."""
        assert self.reply.mechanism is Mechanism.MEMFD
        first = self.entries[0]
        fd, size = self.descriptors[1], self.reply.mapped_bytes
        with mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            return mapped[first.offset : first.offset + first.size_bytes]

    def close(self) -> None:
        """Let go of what came."""
        for each in self.descriptors:
            os.close(each)
        self.descriptors = []


class RawClient:
    """One connection to a store."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(ANSWER_S)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self._serials = itertools.count(1)

    def send(self, op: Op, key: str = "", descriptors: tuple[int, ...] = (), **fields) -> int:
        """Send a request and return its serial."""
        serial = next(self._serials)
        packet = protocol.pack_request(Request(op, key, serial=serial, **fields))
        socket.send_fds(self.socket, [packet], list(descriptors))
        return serial

    def receive(self) -> Given:
        """Return the next reply. EOFError where the store has hung up."""
        packet, fds, _, _ = socket.recv_fds(self.socket, protocol.REPLY.size, 4)
        if not packet:
            raise EOFError
        return Given(protocol.unpack_reply(packet), list(fds))

    def ask(self, op: Op, key: str = "", **fields) -> Given:
        """Send a request and return the reply."""
        serial = self.send(op, key, **fields)
        given = self.receive()
        if given.reply.serial != serial:
            given.close()
            raise AssertionError(f"a reply to request {given.reply.serial}, not {serial}")
        return given

    def get(self, key: str, tier: Tier = Tier.ANY, **fields) -> Given:
        """Ask for weights, ready to load them."""
        return self.ask(Op.GET, key, flags=Ask.LOAD, tier=tier, **fields)

    def store(self, key: str, data: bytes, *, fd: int | None = None, **fields) -> Given:
        """Hand weights over, in `fd` if given, and return the reply."""
        offered = memfd(data) if fd is None else fd
        try:
            fields.setdefault("content_bytes", len(data))
            return self.ask(Op.STORE, key, descriptors=(offered,), **fields)
        finally:
            os.close(offered)

    def list(self) -> list[Reply]:
        """Return what the store lists."""
        self.send(Op.LIST)
        found = []
        while (reply := self.receive().reply).status is not Status.END:
            found.append(reply)
        return found

    def is_hung_up(self) -> bool:
        """Tell whether the store ends the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


@dataclass(slots=True)
class StoreProcess:
    """A running store."""

    process: subprocess.Popen[str]
    socket: Path
    log: Path

    def client(self) -> RawClient:
        """Connect."""
        return RawClient(self.socket)

    def kill(self) -> None:
        """End it at whatever line it is."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as a node does; return its exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def descriptors(self) -> int:
        """How many descriptors it holds."""
        return len(tuple(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memfds(self) -> list[str]:
        """Return the names of the memfds that it holds."""
        found = []
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.append(str(each.readlink()))
        return [name for name in found if name.startswith("/memfd:")]

    def processor_s(self) -> float:
        """How much processor time it has used."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def digest_of(data: bytes) -> bytes:
    """Return the digest that a store gives content."""
    return hashlib.sha256(data).digest()


@contextlib.contextmanager
def store(
    *flags: str, at: Path, environment: dict[str, str] | None = None
) -> Iterator[StoreProcess]:
    """Run a store whose socket appears at `at`, until the block ends."""
    started = start(*flags, at=at, environment=environment)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.kill()


def start(*flags: str, at: Path, environment: dict[str, str] | None = None) -> StoreProcess:
    """Start a store and wait for its socket."""
    log = at.with_name(f"{at.name}.log")
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gshare_modelstore", *flags],
            stderr=file,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    started = StoreProcess(process, at, log)
    wait_until(lambda: accepts(at) or process.poll() is not None, START_S)
    assert process.poll() is None, log.read_text()
    return started


def socket_store(at: Path, *flags: str, memory: str = "64Mi"):
    """Run a store for CPU programs at a socket."""
    return store("--socket", str(at), "--no-gpu", "--host-memory", memory, *flags, at=at)


def accepts(path: Path) -> bool:
    """Tell whether a store listens."""
    try:
        RawClient(path).close()
    except OSError:
        return False
    return True


def wait_until(is_so, timeout_s: float = ANSWER_S) -> None:
    """Return once `is_so()`. AssertionError after the time is over."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
