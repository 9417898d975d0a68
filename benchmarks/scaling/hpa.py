"""The HorizontalPodAutoscaler's arithmetic for one Object metric with an AverageValue target. Pure.

wanted = ceil(metric / target), unless metric / (target x replicas) is 1 within the tolerance;
then not fewer than the most that was wanted within the stabilisation window, and not more than
its default policies let it grow at once: by 4 pods or by 100 % in 15 s, whichever is more.
Source: kubernetes/kubernetes, pkg/controller/podautoscaler (replica_calculator.go, horizontal.go),
autoscaling/v2 defaults; scaling down by 100 % at once is the default and needs no rule here.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

_PERIOD_S: Final = 15.0
_PODS: Final = 4


@dataclass(slots=True)
class Hpa:
    """One HPA; `target` is what one replica should carry, in the metric's unit."""

    target: float
    tolerance: float = 0.1
    window_down_s: float = 300.0
    least: int = 1
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)
    _sizes: deque[tuple[float, int]] = field(default_factory=deque)

    def replicas(self, now: float, metric: float, replicas: int) -> int:
        """Return how many replicas it sets at the sync at `now`, given how many it has."""
        wanted = max(self.least, self._calculated(metric, replicas))
        settled = self._stabilised(now, wanted)
        return min(settled, self._most(now, replicas)) if settled > replicas else settled

    def _calculated(self, metric: float, replicas: int) -> int:
        ratio = metric / (self.target * replicas) if replicas else math.inf
        if 1 - self.tolerance <= ratio <= 1 + self.tolerance:
            return replicas
        return math.ceil(round(metric / self.target, 3))  # a quantity has three decimals

    def _stabilised(self, now: float, wanted: int) -> int:
        self._wanted.append((now, wanted))
        while self._wanted[0][0] < now - self.window_down_s:
            self._wanted.popleft()
        return max(count for _, count in self._wanted)

    def _most(self, now: float, replicas: int) -> int:
        """Return to how many it may grow, from the fewest that it had in the last 15 s."""
        self._sizes.append((now, replicas))
        while self._sizes[0][0] <= now - _PERIOD_S:
            self._sizes.popleft()
        before = min(count for _, count in self._sizes)
        return max(before + _PODS, 2 * before)
