"""Drives Locust's users: first in a closed loop, then at a given rate.

A user takes a turn, sends a request, and says when it had the answer. In the closed loop its turn
goes round, so that as many requests are under way as there are users. In the open loop turns come
at the times of arrivals, whoever is busy: the latency counts from there, so what waits for a free
user has waited for the server.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import gevent  # type: ignore[import-untyped]
import locust
import locust.env
import psutil
from gevent import queue

from ..figures import percentile, rate_rps  # noqa: TID252 (siblings are imported relatively)
from ..request import Request  # noqa: TID252
from ..settings import Arrivals, Rounds, Span  # noqa: TID252
from .plan import Figures, Phase, Plan

_POLL_S: Final = 0.02
_SETTLE_S: Final = 0.5
_LAST_ANSWERS_S: Final = 120.0
_BUSY_PERCENT: Final = 70
"""Of the host's cores: above it, others work beside the trial."""
_CONNECT_TIMEOUT_S: Final = 5.0

Say = Callable[[Phase], None]


class LoadFailedError(Exception):
    """A request was not answered well; its text says how."""


class Drive:
    """One replica under load by Locust's users, as many as `users`."""

    def __init__(self, url: str, request: Request, users: int) -> None:
        self._turns: queue.Queue[float] = queue.Queue()
        self._users = users
        self._in_flight = 0
        self._is_loop = False
        self._failure = ""
        self._answers: list[tuple[float, float]] = []
        user = _user_class(url, request, self._turn)
        self._environment = locust.env.Environment(user_classes=[user])
        runner = self._environment.create_local_runner()
        runner.start(users, spawn_rate=users)

    def run(self, plan: Plan, say: Say) -> Figures:
        """Carry out `plan` and return what was measured; LoadFailedError where a request fails."""
        settings = plan.settings
        say(Phase.WARM_UP)
        self._loop(Span(settings.warm_up_s, 1, _LAST_ANSWERS_S))
        say(Phase.SATURATION)
        throughput_rps, counted = self._saturated(settings.saturation)
        say(Phase.HOLD)
        self._loop(Span(plan.hold_s, 0, plan.hold_s))
        self._drain()
        offered_rps = settings.load_share * throughput_rps
        say(Phase.LATENCY)
        latencies = self._arrivals(offered_rps, settings.latency, settings.arrivals)
        p50_ms, p95_ms, p99_ms = (1000 * percentile(latencies, share) for share in (50, 95, 99))
        requests = counted + len(latencies)
        return Figures(throughput_rps, offered_rps, requests, p50_ms, p95_ms, p99_ms)

    def _saturated(self, rounds: Rounds) -> tuple[float, int]:
        """Return the rate of the closed loop, the mean of the two best rounds, and all answers.

        Beside other work two rounds may agree by being disturbed alike: then all are made.
        """
        rates: list[float] = []
        counted, is_busy = 0, False
        psutil.cpu_percent()  # the next call tells the mean since this one
        while len(rates) < rounds.most if is_busy else not rounds.are_enough(rates):
            completions = [end for _, end in self._loop(rounds.span)]
            counted += len(completions)
            rates.append(rate_rps(completions))
            is_busy = is_busy or psutil.cpu_percent() > _BUSY_PERCENT
        return statistics.fmean(sorted(rates)[-2:]), counted

    def _loop(self, span: Span) -> list[tuple[float, float]]:
        """Let turns go round until `span` is over; return the answers that came meanwhile."""
        if not self._is_loop:
            self._is_loop = True
            for _ in range(self._users):
                self._turns.put(time.perf_counter())
        self._answers = []
        began = time.perf_counter()
        while not span.is_over(time.perf_counter() - began, len(self._answers)):
            self._pause(_POLL_S)
        return self._answers

    def _drain(self) -> None:
        """Let turns go round no more, and wait for what is under way."""
        self._is_loop = False
        deadline = time.perf_counter() + _LAST_ANSWERS_S
        while self._in_flight or not self._turns.empty():
            if time.perf_counter() > deadline:
                raise LoadFailedError(f"no answer for {_LAST_ANSWERS_S:.0f} s")
            self._pause(_POLL_S)

    def _arrivals(self, rate_rps: float, span: Span, arrivals: Arrivals) -> list[float]:
        """Let requests arrive at a rate until `span` is over; return their latencies in seconds."""
        began = time.perf_counter()
        due = began
        for count, gap in enumerate(_gaps(rate_rps, arrivals)):
            due += gap
            self._pause(max(0.0, due - time.perf_counter()))
            if span.is_over(time.perf_counter() - began - _SETTLE_S, count):
                break
            self._turns.put(time.perf_counter())
        self._drain()
        return [end - begin for begin, end in self._answers if begin > began + _SETTLE_S]

    def _pause(self, seconds: float) -> None:
        gevent.sleep(seconds)
        if self._failure:
            raise LoadFailedError(self._failure)

    def _turn(self, call: Callable[[], Any]) -> None:
        """Take a turn, make one call, and note when it was answered."""
        begin = self._turns.get()
        self._in_flight += 1
        response = call()
        self._in_flight -= 1
        end = time.perf_counter()
        self._failure = self._failure or _failure_of(response)
        self._answers.append((begin, end))
        if self._is_loop:
            self._turns.put(end)


def _gaps(rate_rps: float, arrivals: Arrivals) -> Iterator[float]:
    """Yield the times between arrivals; those of Poisson's are the same in each trial."""
    if arrivals == "even":
        return itertools.repeat(1 / rate_rps)
    chance = random.Random(1)  # noqa: S311 (no secret)
    return (chance.expovariate(rate_rps) for _ in itertools.count())


def _failure_of(response: Any) -> str:  # noqa: ANN401 (Locust has no types)
    """Return what is wrong with an answer, or nothing."""
    error = getattr(response, "error", None)
    if error is not None and not response.status_code:
        return f"{type(error).__name__}: {error}"
    if 200 <= response.status_code < 300:
        return ""
    return f"HTTP status {response.status_code}"


def _user_class(
    url: str, request: Request, turn: Callable[[Callable[[], Any]], None]
) -> type[locust.FastHttpUser]:
    """Return a Locust user that sends `request` to the server at `url` whenever it has a turn."""
    body: Any = request.body or None  # Locust takes bytes, its types do not

    def work(user: locust.FastHttpUser) -> None:
        turn(
            lambda: user.client.request(
                request.method,
                request.path,
                name="request",
                data=body,
                headers=dict(request.headers),
                allow_redirects=False,
            )
        )

    return type(
        "Caller",
        (locust.FastHttpUser,),
        {
            "host": url,
            "tasks": [work],
            "wait_time": locust.constant(0),
            "connection_timeout": _CONNECT_TIMEOUT_S,
            "network_timeout": _LAST_ANSWERS_S,
        },
    )
