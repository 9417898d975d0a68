"""The law of a profile: throughput and p99 of any shape in four numbers each. Pure.

A request needs a time that falls as it gets more SMs until it can use no more of them, and a
replica gets the share of that time that its quota gives. So a rate is, in first approach,

    rate(s, q) = level * (q / 100)^a * (1 + (k / s)^p)^(-1/p)

with s and q in percent: the rate grows with s up to about k percent of the SMs and stays there (the
larger p, the sharper the bend), and goes with the a-th power of the quota: a is 1 where the
enforcement costs nothing, less where small quotas get more than their part (the paper's V100:
0.82). A p99 is the reciprocal of such a rate, since it falls likewise.

Worked example: ResNet-50 on a V100 at quota 100 and 6, 12, 24, 100 % of the SMs serves 49.8, 68.5,
75 and 75 requests/s: level 76, k = 8.5, p = 3. With (24, 20) and (24, 60) at 15 and 45, a = 1; at
(50, 60) the law says 45.6.
"""

import math
from dataclasses import dataclass

At = tuple[int, int]
"""SM partition and quota, in percent."""


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
        """Return the rate at one shape."""
        bend = self.sharpness * math.log(self.bend_percent / sm_percent)
        saturation = math.exp(-_log1p_exp(bend) / self.sharpness)
        return self.level * math.pow(quota_percent / 100, self.quota_exponent) * saturation


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


def _log1p_exp(value: float) -> float:
    """Return log(1 + e^value), also where e^value is more than a float holds."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
