"""All that `make bench-quota` measures: the one table of cases and their bars. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from .bars import Bars
from .cases import Case, Client

QUOTAS = (5, 10, 20, 40, 60, 80)
SM_PARTITIONS = (6, 12, 24, 50, 100)
KERNELS_US = (10, 100, 1370, 7300)
GAPS = ("tight", "sync", "bursts")

_SHORT = Bars(error_points=0.25, stdev_points=1.0)
_LONG = Bars(error_points=0.5, stdev_points=2.5)
_LONGEST_SHORT_US = 1400
_FULL = Bars(least_percent=98, overcommitted_percent=0.1, idle_percent=2)
_PAPER = replace(_FULL, least_percent=98.5, mean_percent=99.0)
_PAPER_DEEP = replace(_FULL, least_percent=98, mean_percent=98.8)
_SHARED_S = 10.0
_LATENCY_S = 30.0
_ALONE_S = 6.0
"""A limit allows up to 0.3 of a window more, once: 0.2 points of this."""
_TWO_ROWS = 200
_LIMITS = {"limits-beyond-the-gpu": (45, 50, 55, 60), "limits-within-the-gpu": (25, 30, 50, 60)}
"""Quota limits of leases of 50 % of the SMs and a request of 20: two rows of 100 % are theirs."""

PAPER = (
    *(Client(f"half-{number}", 50, 60, 1000) for number in (1, 2)),
    *(Client(f"eighth-{number}", 12, 40, 300) for number in (1, 2, 3, 4)),
    *(Client(f"quarter-{number}", 24, 40, 600) for number in (1, 2)),
)
"""The paper's eight functions on one GPU, 98.4 % of its area."""
_LIGHT = Client("light", 50, 10, 1000, "light", limit_percent=100)


def full() -> list[Case]:
    """Return every case: 45 minutes."""
    return [*_shared(), *_python(), *_latency(), *_hogs(), *_alone()]


def quick() -> list[Case]:
    """Return some cases of every kind, measured briefly: two minutes."""
    wanted = {"paper-depth-2": 6.0, "leases-48": 4.0, "long-beside-small": 4.0, "graphs": 4.0}
    shared = [replace(case, seconds=wanted[case.name]) for case in _shared() if case.name in wanted]
    light = [replace(case, seconds=6.0) for case in _latency()]
    corners = product((10, 60), (24,), KERNELS_US, ("tight", "sync"))
    alone = [replace(_alone_case(*corner), seconds=4.8) for corner in corners]
    return [replace(case, runs=1) for case in (*shared, *light, *alone)]


def named(name: str) -> list[Case]:
    """Return the cases whose name is, or begins with, `name`."""
    cases = full()
    exact = [case for case in cases if case.name == name]
    return exact or [case for case in cases if case.name.startswith(name)]


def _alone() -> Iterator[Case]:
    for kernel_us, gap, quota, sm in product(KERNELS_US, GAPS, QUOTAS, SM_PARTITIONS):
        yield _alone_case(quota, sm, kernel_us, gap)


def _alone_case(quota: int, sm: int, kernel_us: int, gap: str) -> Case:
    is_short = kernel_us <= _LONGEST_SHORT_US
    return Case(
        name=f"alone-{kernel_us}us-{gap}-q{quota}-sm{sm}",
        topic=f"alone, {kernel_us} us, {gap}",
        clients=(Client("alone", sm, quota, kernel_us, gap),),
        seconds=_ALONE_S,
        bars=_SHORT if is_short else _LONG,
    )


def _hogs() -> Iterator[Case]:
    for kernel_us, gap in product(KERNELS_US, ("tight", "sync")):
        yield Case(
            name=f"hogs-{kernel_us}us-{gap}",
            topic=f"alone under 4 hogs, {gap}",
            clients=(Client("alone", 50, 20, kernel_us, gap),),
            seconds=6.0,
            bars=Bars(error_points=0.5),
            hogs=4,
        )


def _shared() -> Iterator[Case]:
    sets: dict[str, tuple[Client, ...]] = {
        "leases-48": tuple(Client(f"lease-{number}", 10, 20, 2000) for number in range(48)),
        "pair-30-70": _pair(30, 70),
        "pair-20-80": _pair(20, 80),
        "long-beside-small": (
            Client("long", 50, 40, 8000),
            Client("middle", 50, 60, 1000),
            Client("other", 50, 50, 500),
            *(Client(f"small-{number}", 25, 50, 300) for number in (1, 2)),
        ),
        "graphs": (
            Client("plain", 50, 50, 1000),
            Client("graphs", 50, 50, 200, "graphs"),
            Client("cooperative", 50, 50, 500, "cooperative"),
            Client("ex", 50, 50, 300, "ex"),
        ),
    }
    borrowing = tuple(replace(client, limit_percent=100) for client in PAPER)
    yield Case("paper-depth-2", "paper, depth 2", PAPER, _SHARED_S, _PAPER, runs=3)
    yield Case("paper-depth-8", "paper, depth 8", PAPER, _SHARED_S, _PAPER_DEEP, depth=8, runs=3)
    yield Case("paper-borrowing", "paper, limit 100", borrowing, _SHARED_S, _PAPER, runs=3)
    for name, clients in sets.items():
        yield Case(name, name, clients, _SHARED_S, _FULL, runs=3)
    for name, limits in _LIMITS.items():
        clients = tuple(Client(f"to-{each}", 50, 20, 500, limit_percent=each) for each in limits)
        bars = _FULL if sum(limits) > _TWO_ROWS else replace(_FULL, idle_percent=None)
        yield Case(name, "limits above requests", clients, _SHARED_S, bars)


def _pair(less: int, more: int) -> tuple[Client, ...]:
    return (Client("less", 100, less, 1000), Client("more", 100, more, 1000))


def _python() -> Iterator[Case]:
    clients = tuple(replace(client, workload="sync", is_python=True) for client in PAPER)
    yield Case("python", "paper, Python", clients, _SHARED_S, Bars(least_percent=95), runs=3)
    yield Case(
        "python-x4",
        "paper, Python, time scale 4",
        clients,
        2 * _SHARED_S,
        Bars(least_percent=97.5),
        time_scale=4,
        runs=3,
    )


def _latency() -> Iterator[Case]:
    waits = Bars(least_percent=98, overcommitted_percent=0.1, wait_p50_ms=2.5, wait_p99_ms=5)
    borrowers = tuple(Client(f"busy-{each}", 50, 40, 1000, limit_percent=100) for each in (1, 2))
    full_ones = (Client("busy-1", 50, 90, 1000), Client("busy-2", 50, 100, 1000))
    tight = tuple(
        replace(client, name="light", workload="light") if client.name == "eighth-1" else client
        for client in PAPER
    )
    yield Case("light-alone", "light, alone", (_LIGHT,), _LATENCY_S, Bars(wait_p50_ms=0.1))
    yield Case("light-borrowers", "light beside borrowers", (_LIGHT, *borrowers), _LATENCY_S, waits)
    yield Case(
        "light-full",
        "light beside a full GPU",
        (_LIGHT, *full_ones),
        _LATENCY_S,
        Bars(least_percent=98, overcommitted_percent=0.1, wait_p99_ms=40),
    )
    yield Case(
        "light-paper",
        "light on the paper's packing",
        tight,
        _LATENCY_S,
        Bars(least_percent=98, overcommitted_percent=0.1, wait_p99_ms=40),
    )


def changed(case: Case, seconds: float | None, runs: int | None) -> Case:
    """Return the case with another length or number of runs, where one is given."""
    return replace(case, seconds=seconds or case.seconds, runs=runs or case.runs)
