"""How weights are kept where other processes can map them: one interface, three mechanisms.

    VMM     a GPU's memory as a file descriptor (sharing_vmm.py), the default
    IPC     a GPU's memory by CUDA's legacy handles (sharing_ipc.py); a mapping can be written
    MEMFD   the host's memory (sharing_memfd.py)

Whoever holds a descriptor or a mapping keeps the memory itself alive: `free` gives up the store's
own hold, and so no client can be hurt by it.
"""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from . import index
from .index import IndexEntry
from .protocol import Mechanism

SEALED: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
"""What a memfd must be sealed against: then nobody can change it, whoever holds it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One copy of weights, as it is shown to clients: descriptors, or a handle."""

    mechanism: Mechanism
    mapped_bytes: int
    index_fd: int
    index_bytes: int
    weights_fd: int | None = None
    handle: bytes = b""
    is_sealed: bool = False
    """Whether the kernel refuses every mapping that can be written."""
    keeps: object = None
    """What else its mechanism holds for it."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What travels beside a reply, in the order of store_wire.h."""
        return (self.index_fd,) if self.weights_fd is None else (self.index_fd, self.weights_fd)


class DeviceSharing(Protocol):
    """Keeps weights on a GPU. Called from one thread, the GPU's; each call may take seconds."""

    def put(self, memfd: int) -> Shown:
        """Copy a sealed memfd of safetensors content to the GPU. Raises GpuError."""

    def free(self, shown: Shown) -> None:
        """Give up a copy. Raises GpuError."""

    def works(self) -> bool:
        """Tell whether the GPU still takes calls."""


def write_index(entries: Sequence[IndexEntry]) -> tuple[int, int]:
    """Return a sealed memfd with an index, and its length. Raises ProtocolError, OSError."""
    text = index.pack(tuple(entries))
    fd = os.memfd_create("gshare-index", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _write_all(fd, text)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALED)
    except OSError:
        os.close(fd)
        raise
    return fd, len(text)


def _write_all(fd: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(fd, rest) :]
