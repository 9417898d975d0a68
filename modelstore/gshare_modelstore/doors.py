"""The sockets on which a store listens: one a lease, each made so that it is whole when it appears.

A socket is bound under another name, opened to every user, listens, and is then renamed: whoever
finds it can connect, and one that a dead store has left is replaced in one step.
"""

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare.errors import GshareError

from .terms import Identity

_BACKLOG: Final = 1024
"""Replicas that all start at once; beyond it a client's connect waits, or fails with EAGAIN."""
_EVERYBODY: Final = 0o666


@dataclass(slots=True)
class Door:
    """A listening socket: who comes through it is `identity`."""

    path: Path
    identity: Identity
    lease: str
    listener: socket.socket
    inode: int

    def fileno(self) -> int:
        """Return the listening socket's descriptor, for a selector."""
        return self.listener.fileno()

    @property
    def stands(self) -> bool:
        """Whether the path still leads here: a folder may be removed and made again."""
        try:
            return self.path.stat(follow_symlinks=False).st_ino == self.inode
        except OSError:
            return False

    def accept(self) -> socket.socket | None:
        """Return who connects, None where nobody does any more."""
        try:
            return self.listener.accept()[0]
        except OSError:
            return None

    def close(self, *, removes: bool) -> None:
        """Stop listening; with `removes` also remove the path, if it is still ours."""
        if removes and self.stands:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.listener.close()


def open_at(path: Path, identity: Identity, lease: str) -> Door:
    """Return a door at `path`, in place of what was there. GshareError where it cannot be made."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.setblocking(False)  # noqa: FBT003
    try:
        inode = _listen(listener, path)
    except OSError as error:
        listener.close()
        raise GshareError(f"{path}: cannot listen: {error.strerror or error}") from error
    return Door(path, identity, lease, listener, inode)


def _listen(listener: socket.socket, path: Path) -> int:
    """Bind through the folder's descriptor: an address has room for 107 bytes of path."""
    draft = f".{path.name}.new"
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        listener.bind(f"/proc/self/fd/{folder}/{draft}")
        os.chmod(draft, _EVERYBODY, dir_fd=folder)
        listener.listen(_BACKLOG)
        inode = os.stat(draft, dir_fd=folder, follow_symlinks=False).st_ino
        os.replace(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)
    return inode
