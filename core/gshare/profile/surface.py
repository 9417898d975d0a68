"""A rate over all shapes, from measurements at a few, with error bars. Pure.

What measurements differ by from their law (`Trend`) is no accident: neighbours differ alike.
The difference is taken as a Gaussian process over (log s, log q) with a part that varies with s,
one that varies with q, and one with both; how much of each is judged by likelihood, so that a
function that follows its trend badly along one axis gets wide error bars between the points of
that axis. The value at a shape is the trend plus the mean of the process; its standard error is
the process's, the uncertainty of level and exponent included. It is small at measured points (the
noise of one trial) and grows with the distance from them: the shape with the largest error is the
one worth measuring next.

Latencies are taken by their reciprocals, which are rates too.

Worked example: ResNet-50 at (6, 100), (12, 100), (24, 100), (100, 100), (24, 20), (24, 60), as in
`law`: at (50, 60) it serves 45.4 requests/s, give or take 2 %; from (12, 40) at 27.4 alone that
is 43, give or take 11 %.

After: M. L. Stein, Interpolation of Spatial Data (1999), "universal kriging".
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import law
from .law import At, Column
from .trend import Law, Trend

Matrix = NDArray[np.float64]

TRIAL_NOISE: Final = 0.01
"""Relative standard error of one trial."""
_AMPLITUDES: Final = (0.005, 0.02, 0.06, 0.2)
_USUAL_AMPLITUDE: Final = 0.02
_REACH: Final = 1.0
"""Over how much of log s or log q (a factor e) differences are alike."""
_LEVEL_SPREAD: Final = 0.5
_EXPONENT_SPREAD: Final = 0.3
_MOST_OF_THEM: Final = 0.95


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value, and its relative standard error."""

    value: float
    error: float


class Surface:
    """A rate over (SM, quota); made by `fit`, asked by `at`."""

    def __init__(self, trend: Trend, rates: Mapping[At, float], amplitudes: Column) -> None:
        self.trend = trend
        self._amplitudes = amplitudes
        self._sm, self._quota = law.columns(list(rates))
        logs = np.log(np.array(list(rates.values())))
        self._differences = logs - law.log_at(trend, self._sm, self._quota)
        covariance = _covariance(self._sm, self._quota, self._sm, self._quota, amplitudes)
        self._inverse = np.linalg.inv(covariance + TRIAL_NOISE**2 * np.eye(len(logs)))

    @classmethod
    def fit(cls, rates: Mapping[At, float], trend: Trend | None = None) -> "Surface":
        """Return the surface through positive rates by (SM, quota); one is enough.

        `trend` is fitted where it is not given. ValueError where there is no rate, or one is not a
        positive number.
        """
        law.check(rates)
        given = trend or law.fit(rates)
        return max(
            (cls(given, rates, amplitudes) for amplitudes in _choices()),
            key=lambda surface: surface.log_likelihood,
        )

    @functools.cached_property
    def log_likelihood(self) -> float:
        """Return how well the surface explains its rates, usual amplitudes preferred."""
        _, log_determinant = np.linalg.slogdet(self._inverse)
        misfit = float(self._differences @ self._inverse @ self._differences)
        unusual = np.log(self._amplitudes / _USUAL_AMPLITUDE)
        return (float(log_determinant) - misfit) / 2 - float(unusual @ unusual) / 4

    def at(self, points: Sequence[At]) -> list[Uncertain]:
        """Return the rate at each of `points`."""
        if not points:
            return []
        sm, quota = law.columns(list(points))
        near = _covariance(sm, quota, self._sm, self._quota, self._amplitudes)
        logs = law.log_at(self.trend, sm, quota) + near @ self._inverse @ self._differences
        apriori = float(np.square(self._amplitudes).sum()) + _trend_variance(quota)
        known = np.einsum("ij,jk,ik->i", near, self._inverse, near)
        errors = np.sqrt(np.maximum(apriori - known, 0))
        return [
            Uncertain(float(value), float(error))
            for value, error in zip(np.exp(logs), errors, strict=True)
        ]

    def left_out_error(self) -> float:
        """Return what 95 % of the rates differ by at most from what the others say, relatively.

        R. Dubrule, Cross validation of kriging in a unique neighborhood (1983), gives it without
        fitting anew.
        """
        left_out = (self._inverse @ self._differences) / np.diag(self._inverse)
        return float(np.quantile(np.abs(np.expm1(left_out)), _MOST_OF_THEM))


def law_of(throughputs_rps: Mapping[At, float], p99s_ms: Mapping[At, float]) -> Law:
    """Return the law of a profile's points; ValueError as `Surface.fit`."""
    throughput = Surface.fit(throughputs_rps)
    p99 = Surface.fit({at: 1000 / p99_ms for at, p99_ms in p99s_ms.items()})
    return Law(throughput.trend, p99.trend, throughput.left_out_error(), p99.left_out_error())


def _choices() -> list[Column]:
    """Return every choice of how much differs along SMs, along quota, and along both."""
    return [np.array(each) for each in itertools.product(_AMPLITUDES, repeat=3)]


def _covariance(
    sm: Column, quota: Column, other_sm: Column, other_quota: Column, amplitudes: Column
) -> Matrix:
    """Return how much the logarithms at two sets of points vary together."""
    log_quota, other_log_quota = np.log(quota / 100), np.log(other_quota / 100)
    by_sm = np.exp(-np.abs(np.log(sm)[:, None] - np.log(other_sm)) / _REACH)
    by_quota = np.exp(-np.abs(log_quota[:, None] - other_log_quota) / _REACH)
    along_sm, along_quota, both = np.square(amplitudes)
    process: Matrix = along_sm * by_sm + along_quota * by_quota + both * by_sm * by_quota
    trend = _LEVEL_SPREAD**2 + _EXPONENT_SPREAD**2 * np.outer(log_quota, other_log_quota)
    return process + trend


def _trend_variance(quota: Column) -> Column:
    variance: Column = _LEVEL_SPREAD**2 + _EXPONENT_SPREAD**2 * np.log(quota / 100) ** 2
    return variance
