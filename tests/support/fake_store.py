"""A model store's end of a connection, that says whatever a test wants."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from gshare_modelstore import protocol
from gshare_modelstore.protocol import Mechanism, Reply, Request, Status


@dataclass
class Talk:
    """One connection, as the store sees it."""

    connection: socket.socket
    heard: list[Request] = field(default_factory=list)

    def hear(self) -> Request:
        """Return the next request; EOFError where the client has gone."""
        packet = self.connection.recv(protocol.REQUEST.size + 1)
        if not packet:
            raise EOFError
        self.heard.append(protocol.unpack_request(packet))
        return self.heard[-1]

    def say(self, reply: Reply, *descriptors: int) -> None:
        """Answer the last request."""
        packet = protocol.pack_reply(replace(reply, serial=self.heard[-1].serial))
        socket.send_fds(self.connection, [packet], descriptors)

    def give(self, content: bytes, index: bytes, **other: object) -> None:
        """Answer with weights in host memory."""
        descriptors = memfd(index), memfd(content)
        said = {
            "key": self.heard[-1].key,
            "digest": b"\1" * protocol.DIGEST_BYTES,
            "mechanism": Mechanism.MEMFD,
            "mapped_bytes": len(content),
            "index_bytes": len(index),
        }
        self.say(Reply(Status.READY, **(said | other)), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


Script = Callable[[Talk], None]


def memfd(content: bytes) -> int:
    """Return a file in memory."""
    descriptor = os.memfd_create("fake")
    os.write(descriptor, content)
    return descriptor


@contextlib.contextmanager
def serving(path: Path, *scripts: Script) -> Iterator[list[Talk]]:
    """Serve connections at `path`, each by the next script, the last one again; yield the talks."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folder = os.open(path.parent, os.O_PATH)
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")  # however long the path is
    os.close(folder)
    listener.listen(16)
    talks: list[Talk] = []
    server = threading.Thread(target=_serve, args=(listener, talks, scripts), daemon=True)
    server.start()
    try:
        yield talks
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join(5)


def _serve(listener: socket.socket, talks: list[Talk], scripts: tuple[Script, ...]) -> None:
    with contextlib.suppress(OSError):
        while True:
            talk = Talk(listener.accept()[0])
            talks.append(talk)
            script = scripts[min(len(talks), len(scripts)) - 1]
            threading.Thread(target=_follow, args=(talk, script), daemon=True).start()


def _follow(talk: Talk, script: Script) -> None:
    with talk.connection, contextlib.suppress(EOFError, OSError):
        script(talk)
