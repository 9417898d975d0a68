"""When a cheaper mix is worth its starts: once what it would have saved so far pays for them.

Nobody knows for how long a rate will stay. So replicas that run are kept, unless others would do
for much less (`KEEP`), and what the cheapest mix would have cost less is summed up over time. Once
the sum pays for its starts, over the time that a start takes and the scale-down window, the mix is
swapped. So a steady rate ends at the cheapest mix, a rate that wavers swaps nothing, and what is
missed by waiting is at most what the starts are priced at (as in ski rental: R. Karp, On-line
algorithms versus off-line algorithms, 1992).

Worked example: three replicas of 0.06 GPUs run and two of 0.072 would do. That saves 0.036 GPUs,
and the starts cost 0.144 for 330 s: the swap comes after 1,320 s of such a rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .policies import plan
from .values import Option, Plan, Shape

KEEP: Final = 0.5
"""By which part of its cost a replica that does not run yet counts dearer, until it has paid."""

_LONGEST_STEP_S: Final = 60.0
"""Nothing is summed up over more than this between two decisions: nobody looked."""

_EPSILON: Final = 1e-9


@dataclass(slots=True)
class Swaps:
    """What a cheaper mix would have saved until now, in GPU-seconds."""

    paid_for_s: float
    """For how long a start is paid before it has to have paid off."""
    _saved: float = 0.0
    _at_s: float | None = None

    def plan(
        self,
        now_s: float,
        policy: str,
        options: Sequence[Option],
        rate_rps: float,
        running: Mapping[Shape, int],
    ) -> Plan:
        """Return the plan to follow now; ScalingError as `policies.plan`."""
        kept = plan(policy, options, rate_rps, running, start=KEEP)
        best = plan(policy, options, rate_rps, running, start=0.0)
        step_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        if kept.cost <= best.cost + _EPSILON:
            self._saved = 0.0
            return kept
        self._saved += (kept.cost - best.cost) * min(step_s, _LONGEST_STEP_S)
        costs = {option.shape: option.cost for option in options}
        starts = sum(
            costs[shape] * max(0, count - running.get(shape, 0))
            for shape, count in best.counts.items()
        )
        return best if self._saved >= starts * self.paid_for_s else kept
