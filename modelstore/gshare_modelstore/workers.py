"""Threads for what takes long: hashing, copying to the GPU, closing. Results go to the loop.

A worker's thread is a daemon: at the end of the process nobody waits for a hash to be finished.
"""

import contextlib
import os
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TypeAlias

Task: TypeAlias = Callable[[], None]


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

    The last close of a large memfd gives its pages back (0.1 s a GiB); that of a stranger's socket
    may linger for as long as its maker wishes, so each of those has a thread of its own.
    """

    def __init__(self) -> None:
        self._worker = Worker("closer")

    def close(self, descriptor: int) -> None:
        """Close a descriptor of our own making, or a sealed memfd."""
        self._worker.put(lambda: _close(descriptor))

    def close_strange(self, descriptor: int) -> None:
        """Close what a client sent that is none of ours."""
        threading.Thread(target=_close, args=(descriptor,), daemon=True).start()


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # what close reports is lost either way
        os.close(descriptor)
