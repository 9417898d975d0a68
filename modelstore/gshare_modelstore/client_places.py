"""Where a program finds its store's socket, and how long it may still take to appear."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENV_SOCKET: Final = "GSHARE_STORE_SOCKET"
ENV_LEASE_DIR: Final = "GSHARE_LEASE_DIR"
FILE_SOCKET: Final = "store.sock"
FILE_IDENTITY: Final = "identity.json"

STARTING_S: Final = 5.0
"""How long a store that a lease's announcement starts may take to its socket: about a second."""
RESTARTING_S: Final = 3.0
"""How long a store that was there may be away."""


@dataclass(frozen=True, slots=True)
class Place:
    """A socket's path, None where none is known, and the seconds to wait for it at first."""

    path: str | None
    patience_s: float = 0.0


def locate(path: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> Place:
    """Return the socket at `path`, else the environment's, else the lease's."""
    named = os.fspath(path) if path is not None else environment.get(ENV_SOCKET)
    if named:
        return Place(named)
    lease = environment.get(ENV_LEASE_DIR)
    if not lease:
        return Place(None)
    patience_s = STARTING_S if _announces(Path(lease)) else 0.0
    return Place(str(Path(lease) / FILE_SOCKET), patience_s)


def _announces(lease: Path) -> bool:
    """Tell whether the lease's pod announced a model, so that the node starts a store for it."""
    try:
        identity = json.loads((lease / FILE_IDENTITY).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(identity, dict) and bool(identity.get("model"))
