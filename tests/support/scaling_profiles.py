"""Profiles of a function that behaves like the paper's ResNet on a V100, exact quotas."""

from gshare.profile import Latency, Point, Profile, ProfiledGpu

SATURATED = {6: 49.8, 12: 68.5, 24: 75.0}
"""Requests a second at 100 % of the time, by SM partition."""
QUOTAS = (20, 40, 60, 80, 100)


def point(sm: int, quota: int, **changes: object) -> Point:
    """Return the point of a shape: throughput in proportion to the quota, p99 with a window's wait.

    `changes` are fields of the point in place of these.
    """
    throughput = SATURATED[sm] * quota / 100
    p99 = 40 * (1 - quota / 100) + 1.5 * 1000 / SATURATED[sm]
    values: dict[str, object] = {
        "throughput_rps": throughput,
        "latency": Latency(p99 / 2, p99 * 0.9, p99),
        "memory_bytes": 1427 * 2**20,
    }
    return Point(sm, quota, **(values | changes))  # type: ignore[arg-type]


def profile(function: str = "resnet", **changes: object) -> Profile:
    """Return the profile over 3 SM partitions and 5 quotas, with `changes` to its fields."""
    values: dict[str, object] = {
        "gpu": ProfiledGpu("Tesla V100-SXM2-16GB", 80, 16 * 2**30),
        "points": tuple(point(sm, quota) for sm in SATURATED for quota in QUOTAS),
        "is_simulated": True,
    }
    return Profile(function, **(values | changes))  # type: ignore[arg-type]
