"""Clients that use GPU time, and the GPU they share, in virtual time.

`Gpu` plays hooks and GPU: it hands the arbiter events, carries out its instructions, and keeps its
own account of who runs, by which the tests judge.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.arbiter import (
    EXTEND,
    GRANT,
    MS,
    NEVER,
    REVOKE,
    US,
    WINDOW,
    Arbiter,
    Instruction,
    Shape,
)


@dataclass
class Client:
    """A lease's process: kernels of one length, `depth` of them launched ahead.

    `bursts` are (start, work) pairs: at `start` there is `work` ns more to run. Without bursts the
    client always has work. With `pause` a burst comes again that long after it was done. `gap` is
    the time between two kernels that the host takes (it synchronises after each). After `idle`
    without work the hook gives the token back; a pause is longer than that.
    """

    shape: Shape
    kernel: int = MS
    depth: int = 2
    bursts: tuple[tuple[int, int], ...] | None = None
    pause: int = 0
    gap: int = 0
    idle: int = 0
    wake: int = 24 * US
    detect: int = 20 * US
    sm: int = 0
    backlog: int = 0
    token: int = 0
    state: str = "none"
    granted_at: int = 0
    deadline: int = 0
    runs: list[tuple[int, int, int]] = field(default_factory=list)
    asked_at: int | None = None
    waits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep the SM partition that the process was started with."""
        self.sm = self.shape.sm

    @property
    def is_saturated(self) -> bool:
        return self.bursts is None

    @property
    def wants(self) -> bool:
        return self.is_saturated or self.backlog > 0

    def span(self, work: int) -> int:
        """How long `work` takes on the GPU: its kernels and the gaps between them."""
        return work + max(0, -(-work // self.kernel) - 1) * self.gap

    def used(self, start: int, end: int) -> int:
        """GPU time within [start, end), without gaps."""
        runs = self.runs
        if self.state == "holding" and end > self.granted_at + self.wake:
            begun = self.granted_at + self.wake
            busy = (end - begun) * self.kernel // (self.kernel + self.gap)
            runs = [*runs, (begun, end, busy)]
        return sum(
            busy * max(0, min(b, end) - max(a, start)) // (b - a) for a, b, busy in runs if b > a
        )

    def percent(self, start: int, end: int) -> float:
        """GPU time in percent of [start, end)."""
        return 100 * self.used(start, end) / (end - start)


class Gpu:
    """Arbiter, clients and the time that goes by."""

    def __init__(
        self, library: Path, clients: Iterable[Client], window: int = WINDOW, now: int = 1000 * MS
    ) -> None:
        self.now = now
        self.start = now
        self.window = window
        self.library = library
        self.arbiter = Arbiter(library, now, window)
        self.clients: dict[int, Client] = {}
        self.most_sm = 0
        self.revokes = 0
        self._events: list[tuple[int, int, str, int, int]] = []
        self._order = itertools.count()
        self._timer = NEVER
        self._leaving: set[int] = set()
        for client in clients:
            self.add(client)

    def add(self, client: Client, lease: int | None = None) -> int:
        number = len(self.clients) if lease is None else lease
        assert self.arbiter.put(number, client.shape, self.now) == 0
        self.clients[number] = client
        if client.is_saturated:
            self.arbiter.wants(number, wants=True, now=self.now)
        for start, work in client.bursts or ():
            self._at(self.now + start, "burst", number, work)
        return number

    def change(self, lease: int, shape: Shape) -> None:
        assert self.arbiter.put(lease, shape, self.now) == 0
        self.clients[lease].shape = shape

    def restart(self) -> None:
        """Lose the arbiter and all it knew; a new one begins when no token is out."""
        for lease, client in self.clients.items():
            if client.state == "holding":
                self._revoke(lease, client)
        while any(client.state == "draining" for client in self.clients.values()):
            self.now = max(self.now, self._events[0][0])
            self._happen(*heapq.heappop(self._events)[2:])
        self.arbiter = Arbiter(self.library, self.now, self.window)
        for lease in self._leaving:
            del self.clients[lease]
        self._leaving.clear()
        for lease, client in self.clients.items():
            client.state = "none"
            assert self.arbiter.put(lease, client.shape, self.now) == 0
            self.arbiter.wants(lease, client.wants, self.now)

    def remove(self, lease: int) -> None:
        self.arbiter.remove(lease, self.now)
        self._leaving.add(lease)

    def leaves(self, lease: int) -> bool:
        return lease in self._leaving

    def run(self, duration: int) -> tuple[int, int]:
        """Let time go by; return the interval, for Client.percent."""
        began = self.now
        for _ in self.steps(duration):
            pass
        return began, self.now

    def steps(self, duration: int) -> Iterator[int]:
        """Yield after each decision."""
        end = self.now + duration
        self._decide()
        while True:
            due = min(self._events[0][0] if self._events else NEVER, self._timer)
            if due > end:
                break
            self.now = max(self.now, due)
            while self._events and self._events[0][0] <= self.now:
                self._happen(*heapq.heappop(self._events)[2:])
            self._decide()
            yield self.now
        self.now = end

    def _at(self, when: int, what: str, lease: int, value: int) -> None:
        heapq.heappush(self._events, (when, next(self._order), what, lease, value))

    def _happen(self, what: str, lease: int, value: int) -> None:
        client = self.clients.get(lease)
        if client is None:
            return
        if what == "burst":
            if not client.wants:
                client.asked_at = self.now
            client.backlog += value
        elif what == "idle" and value == client.token and client.state == "holding":
            done = self.now - client.detect - client.idle
            self._finish(lease, client, client.granted_at + client.wake, done, client.backlog)
            self.arbiter.gave_back(lease, self.now)
            client.state = "idle"
        elif what == "back" and value == client.token:
            client.state = "none"
            begun, done, busy = client.runs[-1]
            self.arbiter.returned(lease, done - begun, self.now, busy)
        self.arbiter.wants(lease, client.wants, self.now)

    def _finish(self, lease: int, client: Client, begun: int, done: int, busy: int) -> None:
        client.runs.append((begun, done, busy))
        if client.is_saturated:
            return
        client.backlog -= busy
        if client.pause and client.backlog == 0:
            assert client.bursts
            self._at(done + client.pause, "burst", lease, client.bursts[0][1])

    def _decide(self) -> None:
        for _ in range(20):
            self._timer, instructions = self.arbiter.advance(self.now)
            for each in instructions:
                self._obey(each)
            self._check()
            if not any(each.kind == REVOKE for each in instructions):
                assert self._timer > self.now, "the arbiter asks for the past"
                return
        raise AssertionError("the arbiter revokes without end")

    def _obey(self, what: Instruction) -> None:
        client = self.clients[what.lease]
        if what.kind == GRANT:
            assert client.state == "none", "granted twice"
            client.state, client.token = "holding", client.token + 1
            client.granted_at, client.deadline = self.now, what.deadline_ns
            if client.asked_at is not None:
                client.waits.append(self.now - client.asked_at)
                client.asked_at = None
            if not client.is_saturated:
                done = self.now + client.wake + client.span(client.backlog)
                self._at(done + client.detect + client.idle, "idle", what.lease, client.token)
        elif what.kind == EXTEND:
            client.deadline = what.deadline_ns
        elif what.kind == REVOKE:
            self._revoke(what.lease, client)
        else:
            del self.clients[what.lease]
            self._leaving.remove(what.lease)

    def _revoke(self, lease: int, client: Client) -> None:
        self.revokes += 1
        if client.state == "idle":
            client.state = "none"
            begun, done, busy = client.runs[-1]
            self.arbiter.returned(lease, done - begun, self.now, busy)
            return
        begun = client.granted_at + client.wake
        client.state = "draining"
        if self.now <= begun:
            client.state = "none"
            self.arbiter.returned(lease, 0, self.now)
            return
        kernels = (self.now - begun) // (client.kernel + client.gap) + client.depth
        work = kernels * client.kernel
        if not client.is_saturated:
            work = min(work, client.backlog)
        done = begun + client.span(work)
        self._finish(lease, client, begun, done, work)
        self._at(max(self.now, done + client.detect), "back", lease, client.token)

    def _check(self) -> None:
        running = [each for each in self.clients.values() if each.state in {"holding", "draining"}]
        self.most_sm = max(self.most_sm, sum(each.sm for each in running))
