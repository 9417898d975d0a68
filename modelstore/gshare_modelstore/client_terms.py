"""What the client's calls name: keys, digests, devices, and the entries of a list."""

from dataclasses import dataclass

from . import protocol
from .errors import RefusedError
from .protocol import Reply, Status, Tell, Tier


@dataclass(frozen=True, slots=True)
class Entry:
    """One key that the store keeps and this client may see."""

    key: str
    digest: str | None
    """SHA-256 of the safetensors content, in hexadecimal; None while it is loaded."""
    size_bytes: int
    tier: str
    """Where it lies: "device", "host", "device+host", or "loading"."""
    references: int
    """Connections that use it."""
    is_pinned: bool


def entry_of(reply: Reply) -> Entry:
    """Return what one reply of a list says."""
    places = {"device": Tell.IN_DEVICE, "host": Tell.IN_HOST}
    tier = "+".join(name for name, flag in places.items() if flag in reply.flags)
    return Entry(
        key=reply.key,
        digest=reply.digest.hex() if reply.digest else None,
        size_bytes=reply.content_bytes,
        tier=tier or "loading",
        references=reply.references,
        is_pinned=Tell.PINNED in reply.flags,
    )


def target_of(device: int | str | None) -> tuple[int | str | None, Tier]:
    """Return the wanted device, an ordinal as a number, and the tier to ask for.

    ValueError for what is no device.
    """
    if device is None:
        return None, Tier.ANY
    if device == "cpu":
        return device, Tier.HOST
    if device == "cuda":
        return device, Tier.DEVICE
    text = str(device).removeprefix("cuda:")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"device {device!r}: must be cpu, cuda, or a CUDA device's ordinal")
    return int(text), Tier.DEVICE


def checked_key(key: str) -> str:
    """Return `key`; RefusedError where it is none, as the store would answer."""
    if not protocol.is_key(key):
        raise RefusedError(
            str(key)[:80],
            Status.INVALID.name,
            "no key: 1 to 200 of A-Z a-z 0-9 . _ / : @ -, the first a letter or digit",
        )
    return key


def raw_digest(key: str, digest: str | None) -> bytes | None:
    """Return the bytes of a digest in hexadecimal; RefusedError where it is no SHA-256.

    All zeros are none either: on the wire they stand for no digest.
    """
    if digest is None:
        return None
    try:
        raw = bytes.fromhex(digest.removeprefix("sha256:"))
    except ValueError:
        raw = b""
    if len(raw) != protocol.DIGEST_BYTES or not any(raw):
        text = f"digest {digest[:80]!r}: must be the 64 hexadecimal digits of a SHA-256"
        raise RefusedError(key, Status.INVALID.name, text)
    return raw
