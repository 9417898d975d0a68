"""A model store without a GPU, as a process of its own on one socket."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_START_S = 20.0


class StoreServer:
    """The product's own server; may be killed and started again on its socket."""

    def __init__(self, socket: Path, *flags: str) -> None:
        self.socket = socket
        self._command = [
            *(sys.executable, "-m", "gshare_modelstore", "--no-gpu", "--namespace=team"),
            *(f"--socket={socket}", *flags),
        ]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and return once its socket is there."""
        process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        deadline = time.monotonic() + _START_S
        while not self.socket.exists():
            assert process.poll() is None, process.returncode
            assert time.monotonic() < deadline, "no socket"
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it as the kernel does when memory is out: its socket stays, served by nobody."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    def close(self) -> None:
        """End it."""
        for process in self._processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def serving(folder: Path, *flags: str) -> Iterator[StoreServer]:
    """Yield a server that serves `store.sock` of a folder."""
    server = StoreServer(folder / "store.sock", *flags)
    try:
        server.start()
        yield server
    finally:
        server.close()
