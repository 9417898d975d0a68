"""The law between a profile's points: five numbers that say throughput and p99 of any shape.

A request takes `floor_ms` at least (the host's part); a smaller SM partition makes its kernels
longer, `serial_ms + work_ms / SM`. Throughput at quota Q is the part `Q ** quota_exponent` of that
at 100 %: 1 where the enforcement is exact, below 1 where small quotas get more than their part
(the paper's V100: 0.81). The p99 at 80 % load is `latency_offset_ms` (waiting for the window's
slot) plus `latency_factor` times the mean time of a request.

Worked example: floor 13.3 ms, serial 9.1 ms, work 0.66 ms of all SMs, exponent 1. At 12 % of the
SMs 9.1 + 0.66 / 0.12 = 14.6 ms, so 68.5 req/s, and at 40 % of the time 27.4.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Law:
    """The fitted numbers. Errors are relative (0.04 is 4 %), at 95 % of the fitted points."""

    floor_ms: float
    serial_ms: float
    work_ms: float
    quota_exponent: float
    latency_offset_ms: float
    latency_factor: float
    throughput_error: float = 0.0
    latency_error: float = 0.0

    def throughput_rps(self, sm_percent: float, quota_percent: float) -> float:
        """Return the saturated throughput of one replica at this shape."""
        longest = max(self.floor_ms, self.serial_ms + self.work_ms * 100 / sm_percent)
        return float(1000 / longest * (quota_percent / 100) ** self.quota_exponent)

    def p99_ms(self, sm_percent: float, quota_percent: float) -> float:
        """Return the p99 at 80 % of that throughput."""
        mean_ms = 1000 / self.throughput_rps(sm_percent, quota_percent)
        return self.latency_offset_ms + self.latency_factor * mean_ms
