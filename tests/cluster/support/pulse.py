"""Watches that leases go on launching while something else is killed."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from .delivery import Meter, Reading, between

_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Beat:
    """What one lease did while it was watched."""

    time_percent: float
    """Percent of the GPU's time in which a kernel of it ran."""
    longest_gap_s: float
    """The longest time in which it launched nothing."""


class Pulse:
    """A thread that reads the counters of some leases from entry to exit."""

    def __init__(self, meter: Meter, leases: Iterable[str]) -> None:
        self._meter = meter
        self._leases = tuple(leases)
        self._readings: list[Reading] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""
        self._is_over.set()
        self._thread.join()

    def beats(self) -> dict[str, Beat]:
        """Return what each lease did, once the watch is over."""
        shares = between(self._readings[0], self._readings[-1])
        return {
            lease: Beat(shares[lease].time_percent, self._longest_gap_s(lease))
            for lease in self._leases
        }

    def _longest_gap_s(self, lease: str) -> float:
        launches, since_ns, longest_ns = -1, 0, 0
        for reading in self._readings:
            use = reading[lease]
            if use.launches != launches:
                launches, since_ns = use.launches, use.now_ns
            longest_ns = max(longest_ns, use.now_ns - since_ns)
        return longest_ns / 1e9

    def _watch(self) -> None:
        while not self._is_over.is_set():
            self._readings.append(self._meter.read())
            time.sleep(_LOOK_S)
        self._readings.append(self._meter.read())
