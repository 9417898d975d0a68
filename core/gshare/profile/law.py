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
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .trend import Trend

Column = NDArray[np.float64]
At = tuple[int, int]
"""SM partition and quota, in percent."""

_SHARPNESS: Final = np.array([1, 1.5, 2, 3, 4, 6, 10, 20])
_BENDS: Final = np.geomspace(0.5, 400, 60)
# What is usual, and how strongly it is preferred where the points do not tell.
_USUAL_BEND: Final = 6.0
_USUAL_SHARPNESS: Final = 3.0
_TREND_RIDGE: Final = 1e-3
_BEND_RIDGE: Final = 1e-4


def log_at(trend: Trend, sm: Column, quota: Column) -> Column:
    """Return the logarithm of a trend's rate at each (SM, quota)."""
    log_quota: Column = np.log(quota / 100)
    saturation = _log_saturation(sm, trend.bend_percent, trend.sharpness)
    return math.log(trend.level) + trend.quota_exponent * log_quota + saturation


def fit(rates: Mapping[At, float]) -> Trend:
    """Return the trend of positive rates by (SM, quota), of least squares in their logarithms.

    One rate is enough: what the points do not tell is taken as usual. ValueError where there is
    none, or one is not a positive number.
    """
    check(rates)
    return _least_squares(*columns(list(rates)), np.log(np.array(list(rates.values()))))


def check(rates: Mapping[At, float]) -> None:
    """Raise ValueError where there is no rate, or one is not a positive number."""
    if not rates:
        raise ValueError("there is no measurement to fit a law to")
    for (sm, quota), rate in rates.items():
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"SM {sm} quota {quota}: {rate}: must be above 0")


def columns(points: list[At]) -> tuple[Column, Column]:
    """Return the SM partitions and the quotas of `points`."""
    return (
        np.array([sm for sm, _ in points], dtype=float),
        np.array([quota for _, quota in points], dtype=float),
    )


def _least_squares(sm: Column, quota: Column, log_rates: Column) -> Trend:
    """Try each bend and sharpness, solve for level and exponent, and take the best."""
    sharpness, bend = (
        each.reshape(-1, 1) for each in np.meshgrid(_SHARPNESS, _BENDS, indexing="ij")
    )
    log_quota = np.log(quota / 100)
    logs = log_rates - _log_saturation(sm, bend, sharpness)
    centred = log_quota - log_quota.mean()
    middle = logs.mean(axis=1, keepdims=True)
    slope = ((logs - middle) * centred).sum(axis=1) + _TREND_RIDGE
    exponent = slope / ((centred**2).sum() + _TREND_RIDGE)
    level = middle[:, 0] - exponent * log_quota.mean()
    misfit = logs - level[:, None] - exponent[:, None] * log_quota
    unusual = np.log(bend[:, 0] / _USUAL_BEND) ** 2
    unusual += np.log(sharpness[:, 0] / _USUAL_SHARPNESS) ** 2
    cost = (misfit**2).sum(axis=1) + _TREND_RIDGE * (exponent - 1) ** 2 + _BEND_RIDGE * unusual
    best = int(cost.argmin())
    return Trend(
        float(np.exp(level[best])),
        float(exponent[best]),
        float(bend[best, 0]),
        float(sharpness[best, 0]),
    )


def _log_saturation(sm: Column, bend: Column | float, sharpness: Column | float) -> Column:
    saturation: Column = -np.log1p((bend / sm) ** sharpness) / sharpness
    return saturation
