"""One load in whose course a function takes single steps, and what it depends on fails.

    seconds    what happens
    0          ten replicas get the load of ten, and no HPA scales them yet
    44         HPAs take over; the rise of the first seconds is forgotten by 35
    48 - 78    Prometheus is away
    104 - 174  the load grows to that of twelve; another function, asleep, is woken meanwhile
    186        the autoscaler is killed
    208 - 220  the load falls to that of ten
    254        the end

One replica of twelve is 8 % of the rate, so the rate has to be read closer than that on a host as
busy as it likes: the query averages over 12 s, and the load grows slowly, as a rise is forecast.
One of 38 s, read over 6 s, made thirteen replicas of a rate that was one percent off.

Each part is judged by itself, from what was seen in its time.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from gshare_autoscaler.queries import DEFAULT, PRESETS

from . import functions, gateway
from .functions import Function
from .offered import Offer, Request
from .replicas import Course, Sight
from .scene import Scene
from .stage import Stage

HEADROOM: Final = 1.25
_SHAPE: Final = (6, 20)
_FEW: Final = 10
_SCALED_S: Final = 44
_AWAY_S: Final = (48, 78)
_RISE_S: Final = (104, 174)
_WAKING_S: Final = 106
_KILLED_S: Final = 186
_FALL_S: Final = (208, 220)
_END_S: Final = 254
_QUERY: Final = PRESETS[DEFAULT].replace("$window", "12s")
_ASKED: Final = "0:2 12:2"


def load_rps(replicas: float) -> float:
    """Return the load that so many replicas are planned for."""
    return replicas * functions.throughput_rps(*_SHAPE) / HEADROOM


TRACE: Final = " ".join(
    f"{at_s}:{load_rps(replicas):.1f}"
    for at_s, replicas in (
        # Half a replica below ten; three quarters below twelve, for a rise is forecast.
        (0, 9.5), (_RISE_S[0], 9.5), (_RISE_S[1], 11.25),
        (_FALL_S[0], 11.25), (_FALL_S[1], 9.5), (_END_S, 9.5),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Played:
    """What was seen."""

    course: Course
    offer: Offer
    requests: Sequence[Request]
    said: str
    """By the autoscaler, while Prometheus was away."""
    resting: Course
    """Of the function that sleeps while nobody asks."""
    woken: Sequence[Request]
    """Of that function."""
    decisions: Sequence[str]
    """Which the autoscaler logged, for a test that fails."""

    def between(self, since_s: float, until_s: float) -> list[Sight]:
        """Return what was seen in a span of the load's time."""
        return self.course.between(self.offer.began_s + since_s, self.offer.began_s + until_s)

    def told(self) -> str:
        """Return how many replicas were wanted since when, in seconds of the load, and why."""
        changes = groupby(self.course.sights, key=lambda sight: sight.total)
        firsts = [(next(sights).at_s - self.offer.began_s, total) for total, sights in changes]
        steps = ", ".join(f"{at_s:.0f} s: {total}" for at_s, total in firsts)
        return "\n".join([steps, *self.decisions])

    @property
    def scaled(self) -> list[Sight]:
        """Return what was seen since HPAs scale."""
        return self.between(_SCALED_S + 2, _END_S)

    @property
    def without_prometheus(self) -> list[Sight]:
        """Return what was seen from before it went until its data are whole again."""
        return self.between(_AWAY_S[0] - 1, _RISE_S[0])

    @property
    def without_autoscaler(self) -> list[Sight]:
        """Return what was seen from before it died until its successor has decided for long."""
        return self.between(_KILLED_S - 1, _FALL_S[0])


def play(stage: Stage, folder: Path) -> Played:
    """Play it all, on two functions that are gone afterwards."""
    with _scene(stage, "resting") as other, _scene(stage, "disturbed") as scene:
        resting, url = _resting(other, folder / "resting")
        options = (f"--shape={_SHAPE[0]}x{_SHAPE[1]}", "--max-replicas=20")
        text = functions.annotated(scale_down_window="8s", rate_query=f"'{_QUERY}'")
        function = functions.render(scene, folder / "disturbed", options, text)
        try:
            function.apply_unscaled(_FEW)
            return _play(stage, function, resting, url)
        finally:
            function.remove()
            resting.remove()


def _play(stage: Stage, function: Function, resting: Function, url: str) -> Played:
    with function.course() as course, resting.course() as rest:
        offer = Offer(function.scene, function.url, TRACE)
        _sleep_until(offer, _SCALED_S)
        function.apply()
        _sleep_until(offer, _AWAY_S[0])
        stage.prometheus.stop()
        _sleep_until(offer, _AWAY_S[1])
        said = stage.autoscaler.log()
        stage.prometheus.start()
        _sleep_until(offer, _WAKING_S)
        woken = Offer(resting.scene, url, _ASKED, timeout_s=60, cpu="50m").wait()
        _sleep_until(offer, _KILLED_S)
        decisions = _decisions(stage)
        stage.autoscaler.kill()
        requests = offer.wait()
        decisions += _decisions(stage)
    return Played(course, offer, requests, said, rest, woken, decisions)


def _decisions(stage: Stage) -> list[str]:
    return [line for line in stage.autoscaler.log().splitlines() if "event=decided" in line]


def _resting(scene: Scene, folder: Path) -> tuple[Function, str]:
    """Start a function that sleeps while nobody asks, and the gateway at which one asks."""
    text = functions.annotated(rate_query="openfaas", scale_down_window="5s")
    found = functions.render(scene, folder, ("--shape=12x40", "--keep=none"), text)
    found.apply()
    return found, gateway.start(scene, functions.NAME, found.url)


@contextlib.contextmanager
def _scene(stage: Stage, namespace: str) -> Iterator[Scene]:
    found = Scene(stage.cluster, namespace)
    try:
        yield found
    finally:
        found.wipe()


def _sleep_until(offer: Offer, second: float) -> None:
    """Sleep until a second of the load."""
    time.sleep(max(0.0, offer.began_s + second - time.time()))
