"""Where a store serves, and for whom: a GPU's folder with its leases, or one socket alone."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from gshare import names
from gshare.runtime.state import write_atomically

from .folders import GpuFolder, Scene
from .settings import SocketSettings
from .terms import Identity, Terms

_ALONE: Final = "socket"
_LOG = logging.getLogger(__name__)


class Place(Protocol):
    """What the server asks of where it serves."""

    gpu: str
    """The GPU's UUID; "" where there is none."""
    leases: Mapping[str, Identity]
    """As they were when the place was last read."""

    def has_changed(self) -> bool:
        """Tell whether the place must be read again."""

    def read(self) -> Scene:
        """Return what the store is to do now."""

    def socket_of(self, lease: str) -> Path:
        """Return where a lease's container asks the store."""

    def publish(self, resident: Mapping[str, int]) -> None:
        """Tell the node what lies on the GPU."""

    def complain(self, lease: str, problem: str) -> None:
        """Log a lease's trouble, once."""


class FolderPlace:
    """A GPU's folder: the node writes leases and budget, the store what it keeps."""

    def __init__(self, folder: GpuFolder) -> None:
        self.gpu = folder.path.name
        self.leases: Mapping[str, Identity] = {}
        self._folder = folder
        self._stamp: object = None
        self._is_partial = True
        self._published: Mapping[str, int] | None = None
        self._complaints: dict[str, str] = {}

    def has_changed(self) -> bool:
        """Tell whether timetable or budget changed, or a lease lacked its identity."""
        return self._is_partial or self._folder.stamp() != self._stamp

    def read(self) -> Scene:
        """Read the folder; a change while it is read is seen the next time."""
        self._stamp = self._folder.stamp()
        scene = self._folder.read()
        self._is_partial = scene.is_partial
        self.leases = scene.leases
        return scene

    def socket_of(self, lease: str) -> Path:
        """Return the socket in the lease's folder."""
        return self._folder.lease_path(lease) / names.FILE_STORE_SOCKET

    def publish(self, resident: Mapping[str, int]) -> None:
        """Write what lies on the GPU, if it changed. Trouble is logged, and tried again later."""
        if resident == self._published:
            return
        try:
            write_atomically(self._folder.path / names.FILE_RESIDENT, json.dumps(resident))
        except OSError as error:
            self.complain(names.FILE_RESIDENT, str(error))
            return
        self._published = dict(resident)

    def complain(self, lease: str, problem: str) -> None:
        """Log a trouble unless it was said last of the same."""
        if self._complaints.get(lease) != problem:
            self._complaints[lease] = problem
            _LOG.warning("event=trouble lease=%s problem=%s", lease, problem)


class SocketPlace:
    """One socket, for programs that hold no lease: its terms are the command line's."""

    def __init__(self, settings: SocketSettings, quota_bytes: int | None) -> None:
        self.gpu = settings.gpu or ""
        self.leases: Mapping[str, Identity] = {_ALONE: Identity(settings.namespace)}
        self._socket = settings.socket
        self._terms = Terms(
            device_bytes=settings.device_bytes,
            host_bytes=settings.host_bytes,
            quota_bytes=quota_bytes,
            shared_from=settings.shared_from,
        )

    def has_changed(self) -> bool:
        """Nothing changes but by another start."""
        return False

    def read(self) -> Scene:
        """Return the one lease and the terms."""
        return Scene(self.leases, self._terms)

    def socket_of(self, lease: str) -> Path:
        """Return the socket."""
        del lease
        return self._socket

    def publish(self, resident: Mapping[str, int]) -> None:
        """Tell nobody: no node asks."""

    def complain(self, lease: str, problem: str) -> None:
        """Log a trouble."""
        _LOG.warning("event=trouble lease=%s problem=%s", lease, problem)
