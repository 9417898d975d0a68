"""What is made of the times that a load saw. Pure."""

import math
from collections.abc import Sequence


def rate_rps(completions: Sequence[float]) -> float:
    """Return the rate of completions at the times given, in seconds and in order.

    The time from the first to the last holds one completion less than there are. ValueError with
    fewer than two, or where no time passed between them.
    """
    if len(completions) < 2 or completions[-1] <= completions[0]:
        raise ValueError(f"{len(completions)} completions tell no rate")
    return (len(completions) - 1) / (completions[-1] - completions[0])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of them do not exceed ("nearest rank")."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]
