"""The one number of each Deployment that every door answers with, and how long it stands.

The loop decides and writes: `decided` where it could, `withheld` where it could not. The doors
read: the custom metrics API, the Prometheus gauge and the KEDA scaler never differ. The last good
number stands for `hold_s` after it was decided, whatever happens to the loop since: if it is stuck
or dead its numbers expire here all the same, the doors answer 503, and HPAs keep their replicas.

Nothing is stored: a new process knows nothing, and says so (503) until `open` is called. Thread
safe; no call waits for anything but another's few microseconds.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from .conditions import Reason, Trouble

NOT_YET: Final = Trouble(Reason.UNKNOWN, "the autoscaler has only begun")
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


class Target(NamedTuple):
    """A Deployment, as what an HPA or a ScaledObject scales."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class About:
    """What a Deployment is, for the label selectors and the gauge's labels."""

    function: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)
    """The Deployment's own; `labelSelector` of the API is held against them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the doors say of one Deployment now."""

    target: Target
    about: About
    replicas: int | None
    """How many replicas it should have; None where nothing that still stands was decided."""
    at_s: float
    """When that was decided, in seconds of the epoch; 0 where it never was."""
    trouble: Trouble | None
    """Why there is no newer decision; None where the last round decided. With `replicas` set, the
    number is the last good one. With None, this is what the doors give as the reason."""


@dataclass(slots=True)
class _Entry:
    about: About
    replicas: int | None = None
    at_s: float = 0.0
    decided_s: float = 0.0
    """By the monotonic clock."""
    trouble: Trouble | None = NOT_YET


class Answers:
    """The store between the loop, which writes, and the doors, which read."""

    def __init__(self, hold_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hold_s = hold_s
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Target, _Entry] = {}
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Tell whether the Deployments are known, so that one that is not here has no number."""
        return self._is_open

    def open(self) -> None:
        """Say that every Deployment there is was named by now: from here on others are 404."""
        self._is_open = True

    def decided(
        self, target: Target, about: About, replicas: int, at_s: float | None = None
    ) -> None:
        """Set the number of `target`; it stands for `hold_s` from now.

        `at_s` is the time of the data it rests on, in seconds of the epoch; None: now. ValueError
        where `replicas` is negative.
        """
        if replicas < 0:
            raise ValueError(f"deployment {target}: replicas: {replicas}: must be 0 or more")
        stamp = time.time() if at_s is None else at_s
        entry = _Entry(about, replicas, stamp, self._clock(), None)
        with self._lock:
            self._entries[target] = entry

    def withheld(self, target: Target, about: About, trouble: Trouble) -> None:
        """Say why `target` has no new number; its last one goes on standing for its time."""
        with self._lock:
            entry = self._entries.setdefault(target, _Entry(about))
            entry.about = about
            entry.trouble = trouble

    def keep(self, targets: Iterable[Target]) -> None:
        """Forget every Deployment but these: they are deleted, or no functions any more."""
        kept = frozenset(targets)
        with self._lock:
            self._entries = {key: value for key, value in self._entries.items() if key in kept}

    def get(self, target: Target) -> Answer | None:
        """Return what to say of `target`; None where it is no Deployment of a function."""
        with self._lock:
            entry = self._entries.get(target)
            return None if entry is None else self._answer(target, entry, self._clock())

    def all(self, namespace: str | None = None) -> list[Answer]:
        """Return what to say of every Deployment, or of one namespace's, in order of names."""
        with self._lock:
            now = self._clock()
            found = [
                self._answer(target, entry, now)
                for target, entry in self._entries.items()
                if namespace in {None, target.namespace}
            ]
        return sorted(found, key=lambda answer: answer.target)

    def _answer(self, target: Target, entry: _Entry, now: float) -> Answer:
        stands = entry.replicas is not None and now - entry.decided_s <= self._hold_s
        trouble = entry.trouble
        if trouble is None and not stands:
            trouble = Trouble(
                Reason.STALE_DATA,
                f"deployment {target}: nothing was decided for over {self._hold_s:g} s",
            )
        replicas = entry.replicas if stands else None
        return Answer(target, entry.about, replicas, entry.at_s, trouble)
