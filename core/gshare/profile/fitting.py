"""Fits the law of a profile to what was measured: least squares of the logarithms. Pure.

Beside the law, as numpy takes longer to import than most commands to run.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .law import At, Trend

Column = NDArray[np.float64]

_SHARPNESS: Final = np.array([1, 1.5, 2, 3, 4, 6, 10, 20])
_BENDS: Final = np.geomspace(0.5, 400, 60)
# What is usual, and how strongly it is preferred where the points do not tell.
_USUAL_BEND: Final = 6.0
_USUAL_SHARPNESS: Final = 3.0
_TREND_RIDGE: Final = 1e-3
_BEND_RIDGE: Final = 1e-4


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


def log_at(trend: Trend, sm: Column, quota: Column) -> Column:
    """Return the logarithm of the rate at each (SM, quota)."""
    log_quota: Column = np.log(quota / 100)
    saturation = _log_saturation(sm, trend.bend_percent, trend.sharpness)
    return math.log(trend.level) + trend.quota_exponent * log_quota + saturation


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
