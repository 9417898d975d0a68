"""Makes safetensors content in a sealed memory file, from a file or from arrays.

The store takes no other: bytes that nobody can change any more are checked once. Pages of zeros
stay holes, so sparse content takes no memory for them.
"""

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from . import client_memory, safetensors
from .client_memory import HostMemory
from .client_progress import Report
from .errors import SafetensorsError
from .safetensors import Encoding, TensorSpan

CHUNK_BYTES: Final = 8 * 2**20
"""Between two words of progress."""
_BLOCK_BYTES: Final = 2**20
"""What is looked at for zeros at once."""
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Content:
    """Sealed content in memory: `descriptor` names it, `spans` are its tensors."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Own `descriptor`."""
        self.descriptor = descriptor
        self.size_bytes = size_bytes
        self.spans: tuple[TensorSpan, ...] = ()

    def map(self) -> HostMemory:
        """Return the content as memory that stays when the descriptor is closed."""
        return client_memory.of_file(self.descriptor, self.size_bytes)

    def digest(self) -> bytes:
        """Return the SHA-256 of the content: about a second for a gigabyte."""
        with mmap.mmap(
            self.descriptor, self.size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ
        ) as content:
            return hashlib.sha256(content).digest()

    def close(self) -> None:
        """Close the descriptor; maps stay."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def of_file(path: str | os.PathLike[str], report: Report) -> Content:
    """Copy a .safetensors file. Raises OSError, or SafetensorsError with the file's path."""
    try:
        return _of_file(path, report)
    except SafetensorsError as error:
        raise SafetensorsError(f"{os.fspath(path)}: {error}") from error


def _of_file(path: str | os.PathLike[str], report: Report) -> Content:
    with Path(path).open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        with _made(size) as content:
            _copy(file.fileno(), content.descriptor, size, report)
            content.spans = _spans(content)
            return content


def of_arrays(encoding: Encoding, report: Report) -> Content:
    """Write arrays as content. Raises OSError, SafetensorsError, GpuError."""
    with _made(encoding.size_bytes) as content:
        for offset, piece in encoding.pieces():
            for start in range(0, piece.nbytes, CHUNK_BYTES):
                chunk = piece[start : start + CHUNK_BYTES]
                _write(content.descriptor, offset + start, chunk)
                report(offset + start + chunk.nbytes, encoding.size_bytes)
    content.spans = encoding.spans
    return content


@contextlib.contextmanager
def _made(size: int) -> Iterator[Content]:
    """Yield an empty file of `size` bytes to fill; sealed at the end, closed after a fault."""
    descriptor = os.memfd_create("gshare-weights", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    content = Content(descriptor, size)
    try:
        os.ftruncate(descriptor, size)
        yield content
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        content.close()
        raise


def _spans(content: Content) -> tuple[TensorSpan, ...]:
    if content.size_bytes == 0:
        raise SafetensorsError("0 bytes: too short for the length of a header")
    # Closed with the last view of it, which an error's traceback may hold.
    raw = mmap.mmap(
        content.descriptor, content.size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ
    )
    return safetensors.parse_header(memoryview(raw))


def _copy(source: int, target: int, size: int, report: Report) -> None:
    """Copy what a file has between its holes."""
    for start, end in _extents(source, size):
        os.lseek(target, start, os.SEEK_SET)
        at = start
        while at < end:
            copied = os.sendfile(target, source, at, min(CHUNK_BYTES, end - at))
            if not copied:
                raise SafetensorsError(f"ends at byte {at} of {size}: it is being written")
            at += copied
            report(at, size)


def _extents(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data, as (start, end): all of it where its system knows no holes."""
    at = 0
    while at < size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says: only a hole from here
                yield at, size
            return
        yield min(start, size), min(end, size)
        at = end


def _write(target: int, offset: int, chunk: memoryview) -> None:
    for start in range(0, chunk.nbytes, _BLOCK_BYTES):
        block = chunk[start : start + _BLOCK_BYTES]
        if _is_zero(block):
            continue
        at = 0
        while at < block.nbytes:
            at += os.pwrite(target, block[at:], offset + start + at)


def _is_zero(block: memoryview) -> bool:
    """Tell whether all bytes are 0; weights show at an end that they are not."""
    if block[0] or block[-1]:
        return False
    whole = block.nbytes // 8 * 8
    words = np.frombuffer(block, np.uint64, whole // 8)
    return not words.any() and not any(block[whole:])
