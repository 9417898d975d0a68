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
    client always has work.
    """

    shape: Shape
    kernel: int = MS
    depth: int = 2
    bursts: tuple[tuple[int, int], ...] | None = None
    wake: int = 24 * US
    detect: int = 20 * US
    sm: int = 0
    backlog: int = 0
    token: int = 0
    state: str = "none"
    granted_at: int = 0
    deadline: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)
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

    def used(self, start: int, end: int) -> int:
        """GPU time within [start, end)."""
        runs = self.runs
        if self.state == "holding":
            runs = [*runs, (self.granted_at + self.wake, end)]
        return sum(max(0, min(b, end) - max(a, start)) for a, b in runs)

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
        self.arbiter = Arbiter(library, now, window)
        self.clients: dict[int, Client] = {}
        self.most_sm = 0
        self.revokes = 0
        self._events: list[tuple[int, int, str, int, int]] = []
        self._order = itertools.count()
        self._timer = NEVER
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

    def remove(self, lease: int) -> None:
        self.arbiter.remove(lease, self.now)

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
            self._finish(lease, client, client.granted_at + client.wake, self.now - client.detect)
            self.arbiter.gave_back(lease, self.now)
            client.state = "idle"
        elif what == "back" and value == client.token:
            client.state = "none"
            begun, done = client.runs[-1] if client.runs else (0, 0)
            used = done - begun if begun >= client.granted_at else 0
            self.arbiter.returned(lease, used, self.now)
        self.arbiter.wants(lease, client.wants, self.now)

    def _finish(self, _lease: int, client: Client, begun: int, done: int) -> None:
        client.runs.append((begun, done))
        if not client.is_saturated:
            client.backlog = max(0, client.backlog - (done - begun))

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
                done = self.now + client.wake + client.backlog + client.detect
                self._at(done, "idle", what.lease, client.token)
        elif what.kind == EXTEND:
            client.deadline = what.deadline_ns
        elif what.kind == REVOKE:
            self._revoke(what.lease, client)
        else:
            del self.clients[what.lease]

    def _revoke(self, lease: int, client: Client) -> None:
        self.revokes += 1
        if client.state == "idle":
            client.state = "none"
            begun, done = client.runs[-1]
            self.arbiter.returned(lease, done - begun, self.now)
            return
        begun = client.granted_at + client.wake
        client.state = "draining"
        if self.now <= begun:
            client.state = "none"
            self.arbiter.returned(lease, 0, self.now)
            return
        kernels = (self.now - begun) // client.kernel + client.depth
        work = kernels * client.kernel
        if not client.is_saturated:
            work = min(work, client.backlog)
        self._finish(lease, client, begun, begun + work)
        back = max(self.now, begun + work + client.detect)
        self._at(back, "back", lease, client.token)

    def _check(self) -> None:
        running = [each for each in self.clients.values() if each.state in {"holding", "draining"}]
        self.most_sm = max(self.most_sm, sum(each.sm for each in running))
