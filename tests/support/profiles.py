"""Builders of profiles and options with sane defaults: a test shows only what matters to it."""

from gshare.profile import Latency, Point, Profile, ProfiledGpu
from gshare.scaling import Option, Shape

GIB = 2**30
QUOTAS = (20, 40, 60, 80, 100)
# The paper's ResNet, req/s by SM partition and quota.
RESNET = {
    6: (13.5, 25, 34.5, 42.5, 49.8),
    12: (18.5, 35, 46, 59, 68.5),
    24: (19.5, 37.5, 50, 63.5, 75),
}


def make_point(sm_percent=12, quota_percent=40, throughput_rps=35.0, p99_ms=50.0, **others):
    latency = Latency(p99_ms / 2, p99_ms * 0.8, p99_ms)
    memory_bytes = others.pop("memory_bytes", 1525 * 2**20)
    return Point(sm_percent, quota_percent, throughput_rps, latency, memory_bytes, **others)


def make_profile(*points, **others):
    gpu = others.pop("gpu", ProfiledGpu("V100", 80, 16 * GIB))
    return Profile("resnet", gpu, points or (make_point(),), **others)


def resnet(**others):
    """Return the paper's ResNet on 16 GiB; p99 is 20 ms and 1.4 times the time of a request."""
    points = [
        make_point(sm, quota, rps, 20 + 1.4 * 1000 / rps)
        for sm, row in RESNET.items()
        for quota, rps in zip(QUOTAS, row, strict=True)
    ]
    return make_profile(*points, **others)


def make_option(sm_percent=12, quota_percent=40, throughput_rps=35.0, cost=None, **others):
    shape = Shape(sm_percent, quota_percent)
    price = shape.area / 10_000 if cost is None else cost
    return Option(
        shape, throughput_rps, others.get("p99_ms", 50.0), others.get("memory_bytes", 1), price
    )
