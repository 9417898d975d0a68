"""Packets between the model store and its clients: twin of `gshare/store_wire.h`, told there.

Pure, and free of the rest of gshare: clients run in images that have this package alone. Offsets
and sizes are compared with the C compiler's in `tests/contract/modelstore/test_store_wire.py`.
"""

import re
import struct
from dataclasses import dataclass
from enum import STRICT, IntEnum, IntFlag
from typing import Any, Final

MAGIC: Final = 0x4C444F4D
VERSION: Final = 1
KEY_BYTES: Final = 208
DIGEST_BYTES: Final = 32
UUID_BYTES: Final = 48
IPC_BYTES: Final = 64
TEXT_BYTES: Final = 416

REQUEST: Final = struct.Struct(f"=6IQQ{DIGEST_BYTES}s{KEY_BYTES}s")
REPLY: Final = struct.Struct(
    f"=8I4Q{DIGEST_BYTES}s{UUID_BYTES}s{IPC_BYTES}s{KEY_BYTES}s{TEXT_BYTES}s"
)

SHARED_PREFIX: Final = "shared/"
"""Keys that begin so are seen by every namespace."""
KEY_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,199}", re.ASCII)

_NO_DIGEST: Final = bytes(DIGEST_BYTES)


class ProtocolError(ValueError):
    """A packet that is none of ours: size, magic, version, or a field beyond its values."""


class Op(IntEnum):
    """What a client asks for."""

    GET = 1
    STORE = 2
    PROGRESS = 3
    ABANDON = 4
    RELEASE = 5
    DROP = 6
    PIN = 7
    LIST = 8


class Status(IntEnum):
    """What became of a request. All but PROGRESS end it (in a list: END does)."""

    READY = 0
    LOAD = 1
    PROGRESS = 2
    ABSENT = 3
    DENIED = 4
    FULL = 5
    INVALID = 6
    ERROR = 7
    END = 8
    OK = 9


class Tier(IntEnum):
    """Where weights are wanted, or lie. ANY: on the GPU where there is one with room."""

    ANY = 0
    DEVICE = 1
    HOST = 2


class Mechanism(IntEnum):
    """How weights are shown to another process."""

    NONE = 0
    VMM = 1
    IPC = 2
    MEMFD = 3


class Ask(IntFlag, boundary=STRICT):
    """Flags of requests."""

    NONE = 0
    LOAD = 1
    PIN = 2
    QUIET = 4


class Tell(IntFlag, boundary=STRICT):
    """Flags of replies."""

    NONE = 0
    PINNED = 1
    SHARED = 2
    LOADING = 4
    IN_DEVICE = 8
    IN_HOST = 16
    SEALED = 32


@dataclass(frozen=True, slots=True)
class Request:
    """One packet of a client. `digest` is None, or the 32 bytes of a SHA-256."""

    op: Op
    key: str = ""
    digest: bytes | None = None
    flags: Ask = Ask.NONE
    tier: Tier = Tier.ANY
    serial: int = 0
    content_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One packet of the store; descriptors travel beside it."""

    status: Status
    serial: int = 0
    key: str = ""
    digest: bytes | None = None
    flags: Tell = Tell.NONE
    tier: Tier = Tier.ANY
    mechanism: Mechanism = Mechanism.NONE
    references: int = 0
    content_bytes: int = 0
    total_bytes: int = 0
    mapped_bytes: int = 0
    index_bytes: int = 0
    gpu_uuid: str = ""
    ipc_handle: bytes = b""
    text: str = ""

    @property
    def is_final(self) -> bool:
        """Whether nothing more comes for this request (an entry of a list is not asked)."""
        return self.status is not Status.PROGRESS


def is_key(text: str) -> bool:
    """Tell whether `text` may name weights."""
    return KEY_PATTERN.fullmatch(text) is not None and text != SHARED_PREFIX


def is_shared(key: str) -> bool:
    """Tell whether every namespace sees `key`."""
    return key.startswith(SHARED_PREFIX)


def pack_request(request: Request) -> bytes:
    """Return the packet. Raises ProtocolError for a key or digest that does not fit."""
    return REQUEST.pack(
        MAGIC,
        VERSION,
        request.op,
        request.flags,
        request.tier,
        request.serial,
        request.content_bytes,
        request.total_bytes,
        _pack_digest(request.digest),
        _pack_text(request.key, KEY_BYTES),
    )


def unpack_request(packet: bytes) -> Request:
    """Read a client's packet. Raises ProtocolError. The key may still be none (see `is_key`)."""
    op, flags, tier, serial, size, total, digest, key = _unpack(REQUEST, packet)
    try:
        return Request(
            op=Op(op),
            key=_text(key),
            digest=_digest(digest),
            flags=Ask(flags),
            tier=Tier(tier),
            serial=serial,
            content_bytes=size,
            total_bytes=total,
        )
    except ValueError as error:
        raise ProtocolError(str(error)) from error


def pack_reply(reply: Reply) -> bytes:
    """Return the packet; a text that is too long is cut."""
    return REPLY.pack(
        MAGIC,
        VERSION,
        reply.status,
        reply.flags,
        reply.tier,
        reply.mechanism,
        reply.serial,
        reply.references,
        reply.content_bytes,
        reply.total_bytes,
        reply.mapped_bytes,
        reply.index_bytes,
        _pack_digest(reply.digest),
        _pack_text(reply.gpu_uuid, UUID_BYTES),
        reply.ipc_handle,
        _pack_text(reply.key, KEY_BYTES),
        _cut(reply.text),
    )


def unpack_reply(packet: bytes) -> Reply:
    """Read the store's packet. Raises ProtocolError."""
    values = _unpack(REPLY, packet)
    status, flags, tier, mechanism, serial, references = values[:6]
    digest, uuid, handle, key, text = values[10:]
    try:
        return Reply(
            status=Status(status),
            serial=serial,
            key=_text(key),
            digest=_digest(digest),
            flags=Tell(flags),
            tier=Tier(tier),
            mechanism=Mechanism(mechanism),
            references=references,
            content_bytes=values[6],
            total_bytes=values[7],
            mapped_bytes=values[8],
            index_bytes=values[9],
            gpu_uuid=_text(uuid),
            ipc_handle=handle,
            text=_text(text),
        )
    except ValueError as error:
        raise ProtocolError(str(error)) from error


def _unpack(layout: struct.Struct, packet: bytes) -> tuple[Any, ...]:
    if len(packet) != layout.size:
        raise ProtocolError(f"{len(packet)} bytes where {layout.size} belong")
    magic, version, *values = layout.unpack(packet)
    if (magic, version) != (MAGIC, VERSION):
        raise ProtocolError(f"magic {magic:#x}, version {version}: not a packet of ours")
    return tuple(values)


def _pack_digest(digest: bytes | None) -> bytes:
    if digest is None:
        return _NO_DIGEST
    if len(digest) != DIGEST_BYTES:
        raise ProtocolError(f"digest of {len(digest)} bytes: must be {DIGEST_BYTES}")
    return digest


def _digest(raw: bytes) -> bytes | None:
    return None if raw == _NO_DIGEST else raw


def _pack_text(text: str, size: int) -> bytes:
    raw = text.encode()
    if len(raw) >= size or b"\0" in raw:
        raise ProtocolError(f"{text!r}: must be below {size} bytes, without NUL")
    return raw


def _cut(text: str) -> bytes:
    """Return the text within its field, cut between characters and on one line."""
    raw = " ".join(text.replace("\0", " ").split()).encode(errors="replace")
    return raw[: TEXT_BYTES - 1].decode(errors="ignore").encode()


def _text(raw: bytes) -> str:
    """Return a field's text, which ends at its first NUL."""
    text, end, _rest = raw.partition(b"\0")
    if not end:
        raise ValueError("a text without its end")
    return text.decode()
