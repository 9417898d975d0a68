"""Every way of scaling on one trace, and the row of the report that each makes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from gshare import scaling
from gshare.rendering.shapes import Load, choose
from gshare.scaling import EXACT, RPR, Option, Shape

from .replay import Row, Run, rates_rps, replay
from .ways import HEADROOM, Controlled, OneShape, Replanned, Way, cheapest

RPR_ALONE = "rpr"
RPR_HELD = "rpr + hysteresis"
DEFAULT = "exact + hysteresis"
HPA_ONE_SHAPE = "HPA, one shape"
HPA_WHOLE_GPU = "HPA, whole GPUs"
_WHOLE = Shape(100, 100)
_USUAL_WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """One way under the name that the table has for it."""

    policy: str
    way: Way
    window_s: float
    """For how long a lower rate is no reason to shrink; 0: not at all."""


def rows(run: Run) -> list[Row]:
    """Replay every case on the trace of `run`."""
    return [
        {
            "trace": run.trace.name,
            "policy": case.policy,
            "shapes": [str(option.shape) for option in case.way.options],
            "scale_down_window_s": case.window_s,
            **replay(run, case.way),
        }
        for case in cases(run)
    ]


def cases(run: Run) -> Iterator[Case]:
    """Yield what is compared; an HPA on every shape, with our window and with its own of 300 s."""
    every = scaling.options(run.profile, None, run.slo_ms)
    pace = run.trace.pace
    window_s = pace.scale_down_window_s
    yield Case(RPR_ALONE, Replanned(RPR, every), 0.0)
    yield Case(RPR_HELD, Controlled(RPR, every, pace), window_s)
    two = rendered(run, every)
    yield Case(DEFAULT, Controlled(EXACT, two, pace, cheapest(two)), window_s)
    for option, window in product(every, sorted({window_s, _USUAL_WINDOW_S})):
        policy = HPA_WHOLE_GPU if option.shape == _WHOLE else HPA_ONE_SHAPE
        yield Case(policy, OneShape(option, window), window)


def rendered(run: Run, every: Sequence[Option]) -> Sequence[Option]:
    """Return the options of the Deployments that `gshare render` writes for the trace's rates."""
    rates = rates_rps(run.trace)
    planned = Load(min(rates), max(rates)).planned_rps(HEADROOM)
    return choose(every, planned, EXACT).options
