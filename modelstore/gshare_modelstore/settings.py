"""How a model store runs: one frozen value, read from flags by `__main__` alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gshare.runtime.address import Address

SHARING_VMM: Final = "vmm"
SHARING_IPC: Final = "ipc"
SHARINGS: Final = (SHARING_VMM, SHARING_IPC)


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A store that serves the leases of one GPU's folder, whose name is the GPU's UUID."""

    folder: Path


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """A store that serves one socket, where there are no leases: CPU programs, development."""

    socket: Path
    namespace: str
    host_bytes: int
    device_bytes: int = 0
    gpu: str | None = None
    """UUID of the GPU that it serves; None: the host's memory only."""
    shared_from: frozenset[str] = frozenset()
    """Namespaces that may write keys under `shared/`. A folder's store reads them in its budget."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Defaults suit a node agent that starts the store in a GPU's folder."""

    place: FolderSettings | SocketSettings
    has_gpu: bool = True
    """False: weights are kept in the host's memory only, and no driver is loaded."""
    sharing: str = SHARING_VMM
    """How a GPU's memory is shown to clients: a key of SHARINGS. IPC is for drivers without VMM
    descriptors; its mappings can be written."""
    quota_bytes: int | None = None
    """Of weights, each namespace; None: as much as fits the GPU."""
    metrics: Address | None = None
    """Where /metrics, /healthz and /readyz are; None: nowhere."""
    poll_s: float = field(default=0.05, kw_only=True)
    """How often leases and budget are looked at: a lease's socket is there before its container
    has started, and a budget that shrinks is kept before the next replica allocates."""
