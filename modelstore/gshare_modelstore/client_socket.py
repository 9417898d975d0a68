"""The store's socket: connects to it, sends and receives packets with descriptors beside them."""

import array
import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .client_places import RESTARTING_S
from .errors import StoreAwayError

_RETRY_S: Final = 0.02
_MOST_DESCRIPTORS: Final = 4
_LONGEST_PATH: Final = 107
"""Of a unix socket's address, in bytes; a longer path is reached through its folder."""


def connected(path: str, patience_s: float, silence_s: float) -> socket.socket:
    """Return a socket that is connected to `path`; StoreAwayError after `patience_s` of trying.

    A socket that nobody serves is one of a store that died: its node starts another.
    """
    began = time.monotonic()
    while True:
        try:
            return _connect(path, silence_s)
        except FileNotFoundError as error:
            if time.monotonic() - began >= patience_s:
                raise StoreAwayError(path, "no such socket") from error
        except ConnectionRefusedError as error:
            if time.monotonic() - began >= max(patience_s, RESTARTING_S):
                raise StoreAwayError(path, "nobody serves it") from error
        except (OSError, ValueError) as error:
            raise StoreAwayError(path, str(error)) from error
        time.sleep(_RETRY_S)


def _connect(path: str, silence_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        set_timeouts(connection, silence_s)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _address(path: str) -> Iterator[str]:
    """Yield an address for `path`, however long it is."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


def set_timeouts(connection: socket.socket, seconds: float) -> None:
    """Bound each send, receive and connect, by the kernel.

    Python's own time-outs make the socket non-blocking, and a connect that finds the server's
    queue full then fails instead of waiting.
    """
    whole = int(seconds)
    value = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, value)


def send(connection: socket.socket, packet: bytes, descriptor: int | None) -> None:
    """Send a packet, and a descriptor beside it. OSError; BlockingIOError after the time-out."""
    beside = []
    if descriptor is not None:
        rights = array.array("i", [descriptor])
        beside.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, rights))
    connection.sendmsg([packet], beside, socket.MSG_NOSIGNAL)


def receive(
    connection: socket.socket, most_bytes: int, flags: int
) -> tuple[bytes, tuple[int, ...]]:
    """Return a packet and the descriptors beside it; nothing at the connection's end.

    OSError; BlockingIOError after the time-out. Not `socket.recv_fds`: Python 3.11's drops flags.
    """
    room = socket.CMSG_LEN(_MOST_DESCRIPTORS * array.array("i").itemsize)
    packet, beside, _flags, _address = connection.recvmsg(
        most_bytes, room, flags | socket.MSG_CMSG_CLOEXEC
    )
    received = array.array("i")
    for level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            received.frombytes(content[: len(content) // received.itemsize * received.itemsize])
    return packet, tuple(received)
