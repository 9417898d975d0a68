"""Threads for what takes long: hashing, copying to the GPU, closing. Results go to the loop.

A worker's thread is a daemon: at the end of the process nobody waits for a hash to be finished.
"""

import contextlib
import itertools
import os
import queue
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from . import ancillary

Task: TypeAlias = Callable[[], None]
_STRANGE_CLOSERS: Final = 8
_NO_LINGER: Final = struct.pack("ii", 0, 0)


class Results:
    """Calls that workers leave for the loop, which sleeps on `fileno`."""

    def __init__(self) -> None:
        self._calls: deque[Task] = deque()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Return the descriptor that is readable while results are there."""
        return self._bell

    def put(self, call: Task) -> None:
        """Leave a call for the loop, from any thread."""
        self._calls.append(call)
        os.eventfd_write(self._bell, 1)

    def run(self) -> None:
        """Make the calls; the loop's own thread."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        while self._calls:
            self._calls.popleft()()


class Worker:
    """One thread that runs tasks in the order given."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def put(self, task: Task) -> None:
        """Run `task` after all that were put before. It must not raise."""
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            self._tasks.get()()


class FairWorkers:
    """A few threads for the tasks of many owners: of each owner at most one runs at a time.

    So one namespace that offers much, or what takes long to read, delays itself only.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._waiting: defaultdict[str, deque[Task]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        for index in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True).start()

    def put(self, owner: str, task: Task) -> None:
        """Run `task` after all of its owner's. It must not raise."""
        with self._lock:
            self._waiting[owner].append(task)
            is_first = len(self._waiting[owner]) == 1
        if is_first:
            self._ready.put(owner)

    def _work(self) -> None:
        while True:
            owner = self._ready.get()
            self._waiting[owner][0]()
            with self._lock:
                self._waiting[owner].popleft()
                is_more = bool(self._waiting[owner])
                if not is_more:
                    del self._waiting[owner]
            if is_more:
                self._ready.put(owner)


class Closer:
    """Closes descriptors elsewhere than in the loop, which never waits for one.

    The last close of a large memfd gives its pages back (0.1 s a GiB); that of a stranger's TCP
    socket waits until its data are sent, for as long as its maker said, unless it is told not to.
    """

    def __init__(self) -> None:
        self._own = Worker("closer")
        self._strange = FairWorkers("strange-closer", _STRANGE_CLOSERS)
        self._turns = itertools.cycle(range(_STRANGE_CLOSERS))

    def close(self, descriptor: int) -> None:
        """Close a descriptor of our own making, or a sealed memfd."""
        self._own.put(partial(_close, descriptor))

    def close_strange(self, descriptor: int) -> None:
        """Close what a client sent that is none of ours."""
        self._strange.put(str(next(self._turns)), partial(_close_at_once, descriptor))

    def end(self, connection: socket.socket) -> None:
        """End a connection in which descriptors may lie that nobody has read."""
        self._strange.put(str(next(self._turns)), partial(_drain, connection))


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # what close reports is lost either way
        os.close(descriptor)


def _close_at_once(descriptor: int) -> None:
    """Close a descriptor; a socket without waiting for what it has not sent."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:  # no socket
        _close(descriptor)
        return
    with found, contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _drain(connection: socket.socket) -> None:
    """Close a connection and every descriptor that lies in it unread.

    With SO_PASSCRED every packet, even an empty one, has something beside it; the end has not.
    """
    with connection, contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        connection.shutdown(socket.SHUT_RDWR)
        while control := connection.recvmsg(1, ancillary.CONTROL_BYTES)[1]:
            for each in ancillary.descriptors(control):
                _close_at_once(each)
