"""Tells users by events on their Deployments what keeps them from being scaled, once each time."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gshare.runtime.kube import EventWriter, Regarding

from .answers import Answer, Target
from .conditions import Reason, Trouble

ACTION: Final = "Scaling"
_RESUMED: Final = "ScalingResumed"
_QUIET_S: Final = 60.0
"""For this long the same reason is not told again, however its text changes."""
_PASSING: Final = frozenset({Reason.UNKNOWN, Reason.WINDOW_NOT_FULL})
"""What is over by itself, and so is worth no event."""
_OF_DATA: Final = frozenset(
    {Reason.NO_DATA, Reason.STALE_DATA, Reason.PROMETHEUS_AWAY, Reason.QUERY_TIMED_OUT}
)
"""What a new function and a Prometheus that restarts have for a moment: told if it lasts."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A Deployment's trouble: since when it has one, and what was told of it, and when."""

    since_s: float
    told: Trouble | None = None
    told_at_s: float = 0.0


class Teller:
    """Compares each round with the last; a restart tells what still holds once more."""

    def __init__(
        self,
        events: EventWriter,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._patience_s = patience_s
        self._clock = clock
        self._known: dict[Target, _Known] = {}

    def tell(self, answers: Iterable[Answer], uids: Mapping[Target, str]) -> None:
        """Post an event for each Deployment whose trouble is new and lasts, or is over."""
        now, known = self._clock(), {}
        for answer in answers:
            target = answer.target
            about = Regarding("Deployment", target.name, target.namespace, uids.get(target, ""))
            before = self._known.get(target, _Known(now))
            if answer.trouble is not None:
                known[target] = self._trouble(about, answer, answer.trouble, before)
            elif before.told is not None:
                note = f"it is scaled again, to {answer.replicas}"
                self._events.post(about, "Normal", _RESUMED, ACTION, note)
        self._known = known

    def _trouble(
        self, about: Regarding, answer: Answer, trouble: Trouble, before: _Known
    ) -> _Known:
        """Tell of a trouble if that is due; return what is known by then."""
        now = self._clock()
        is_short = trouble.reason in _OF_DATA and now - before.since_s < self._patience_s
        if trouble.reason in _PASSING or is_short or not _is_news(trouble, before, now):
            return before
        note = f"{trouble.text}; {_kept(answer)}"
        self._events.post(about, "Warning", trouble.reason.value, ACTION, note)
        return _Known(before.since_s, trouble, now)


def _is_news(trouble: Trouble, before: _Known, now_s: float) -> bool:
    if before.told is None or trouble.reason != before.told.reason:
        return True
    return trouble != before.told and now_s - before.told_at_s >= _QUIET_S


def _kept(answer: Answer) -> str:
    if answer.replicas is None:
        return "HPAs keep its replicas"
    return f"its last number, {answer.replicas}, stands for now"
