"""Tells users by events on their Deployments what keeps them from being scaled, once each time."""

import time
from collections.abc import Callable, Iterable, Mapping
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


class Teller:
    """Compares each round with the last; a restart tells what still holds once more."""

    def __init__(self, events: EventWriter, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._clock = clock
        self._told: dict[Target, tuple[Trouble, float]] = {}

    def tell(self, answers: Iterable[Answer], uids: Mapping[Target, str]) -> None:
        """Post an event for each Deployment whose trouble is new, or over."""
        told: dict[Target, tuple[Trouble, float]] = {}
        for answer in answers:
            target, trouble = answer.target, answer.trouble
            known = self._told.get(target)
            about = Regarding("Deployment", target.name, target.namespace, uids.get(target, ""))
            if trouble is not None and trouble.reason in _PASSING:
                told |= {target: known} if known is not None else {}
            elif trouble is not None:
                if known is None or self._is_new(trouble, *known):
                    note = f"{trouble.text}; {_kept(answer)}"
                    self._events.post(about, "Warning", trouble.reason.value, ACTION, note)
                    known = trouble, self._clock()
                told[target] = known
            elif known is not None:
                note = f"it is scaled again: {answer.replicas} replicas"
                self._events.post(about, "Normal", _RESUMED, ACTION, note)
        self._told = told

    def _is_new(self, trouble: Trouble, before: Trouble, told_at_s: float) -> bool:
        if trouble.reason != before.reason:
            return True
        return trouble != before and self._clock() - told_at_s >= _QUIET_S


def _kept(answer: Answer) -> str:
    if answer.replicas is None:
        return "HPAs keep its replicas"
    return f"its last number, {answer.replicas}, stands for now"
