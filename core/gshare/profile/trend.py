"""What a law is, as values: it is read, written and asked without numpy, which `law` fits it with.

Importing numpy takes longer than most commands run.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trend:
    """How a rate goes with the shape; `level` is the rate at 100 % with SMs in abundance."""

    level: float
    quota_exponent: float
    bend_percent: float
    """Percent of the SMs up to which the rate grows."""
    sharpness: float

    def __post_init__(self) -> None:
        """Refuse a level, bend or sharpness that is not above 0, with ValueError."""
        for name in ("level", "bend_percent", "sharpness"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} {value}: must be above 0")

    def at(self, sm_percent: float, quota_percent: float) -> float:
        """Return the rate at one shape: `law` has the formula."""
        power = self.sharpness * math.log(self.bend_percent / sm_percent)
        saturation = -(max(power, 0.0) + math.log1p(math.exp(-abs(power)))) / self.sharpness
        log_quota = math.log(quota_percent / 100)
        return math.exp(math.log(self.level) + self.quota_exponent * log_quota + saturation)


@dataclass(frozen=True, slots=True)
class Law:
    """The trends of throughput (requests/s) and of the reciprocal of p99 (1/s).

    The errors are relative (0.04 is 4 %): what 95 % of the points differ by at most from what the
    others say of them (`surface`).
    """

    throughput: Trend
    p99: Trend
    throughput_error: float = 0.0
    p99_error: float = 0.0

    def throughput_rps(self, sm_percent: float, quota_percent: float) -> float:
        """Return the saturated throughput of one replica at this shape."""
        return self.throughput.at(sm_percent, quota_percent)

    def p99_ms(self, sm_percent: float, quota_percent: float) -> float:
        """Return the p99 at 80 % of that throughput."""
        return 1000 / self.p99.at(sm_percent, quota_percent)
