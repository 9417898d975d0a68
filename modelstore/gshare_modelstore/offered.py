"""Looks at what a client offers: a memfd that nobody can change, and safetensors content in it.

Seals come first: only memfds have them, so a descriptor that would block or lie (a pipe, a file of
a user's file system) is turned down before it is touched. What is read afterwards is what everybody
will see. Holes are read by `read`, which makes no pages of them, and not through a mapping.
"""

import fcntl
import hashlib
import mmap
import os
from typing import Final

from . import safetensors
from .errors import SafetensorsError, StoreError
from .safetensors import TensorSpan
from .sharing import SEALED

_CHUNK_BYTES: Final = 1 << 20


class OfferError(StoreError):
    """What was offered is not to be kept; the text says why on one line."""


def check(memfd: int, content_bytes: int) -> None:
    """Raise OfferError unless `memfd` is sealed and `content_bytes` long. Touches no content."""
    try:
        seals = fcntl.fcntl(memfd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise OfferError("the descriptor is no memfd that can be sealed") from error
    if seals & SEALED != SEALED:
        raise OfferError("the memfd is not sealed against writing, growing, shrinking, sealing")
    size = os.fstat(memfd).st_size
    if size != content_bytes:
        raise OfferError(f"the memfd has {size} bytes where {content_bytes} were announced")


def spans(memfd: int) -> tuple[TensorSpan, ...]:
    """Return the tensors in a memfd, in the order of their bytes. Raises SafetensorsError."""
    size = os.fstat(memfd).st_size
    if size == 0:
        raise SafetensorsError("0 bytes: too short for the length of a header")
    # Closed with the last view of it, which an error's traceback may hold.
    mapped = mmap.mmap(memfd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    return safetensors.parse_header(memoryview(mapped))


def digest(memfd: int) -> bytes:
    """Return the SHA-256 of a memfd's bytes."""
    hashed = hashlib.sha256()
    buffer = bytearray(_CHUNK_BYTES)
    at = 0
    while count := os.preadv(memfd, [buffer], at):
        hashed.update(memoryview(buffer)[:count])
        at += count
    return hashed.digest()
