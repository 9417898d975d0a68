"""Plays a trace through one way of scaling, in virtual time, and counts what came of it.

At each interval the way sees the offered rate as Prometheus would tell it: counted on arrival,
over a window, up to the last scrape. It starts warm: with the replicas wanted for the first rate.
"""

from bisect import bisect_left
from dataclasses import dataclass

from gshare.profile import Profile
from gshare.scaling import Sample

from .service import FIRST_FREE
from .traces import Trace
from .ways import Seen, Way
from .world import World

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Run:
    """A trace, the function's profile and its objective."""

    trace: Trace
    profile: Profile
    slo_ms: float
    balancer: str = FIRST_FREE


def replay(run: Run, way: Way) -> Row:
    """Return what the way cost and how many requests were too slow, over the counted time."""
    trace = run.trace
    options = {option.shape: option for option in way.options}
    world = World(run.profile, options, run.slo_ms, trace.pace.warm_up_s, trace.duration_s)
    world.service.balancer = run.balancer
    _start(world, trace, way)
    before = (0, 0)
    for step in range(1, int(trace.duration_s / trace.pace.interval_s)):
        now_s = step * trace.pace.interval_s
        seen = _seen(world, trace, now_s)
        way.observe(seen)
        if now_s % trace.pace.sync_s == 0:
            world.scale(now_s, way.wanted(seen))
        if now_s <= trace.pace.warm_up_s:
            before = (world.service.requests, world.service.too_slow)
        _pass(world, trace, now_s)
    world.close()
    return _row(trace, world, before)


def rates_rps(trace: Trace) -> list[float]:
    """Return the rates that are seen at the syncs of `trace`, the warm-up left out."""
    pace = trace.pace
    steps = range(int(pace.warm_up_s / pace.sync_s) + 1, int(trace.duration_s / pace.sync_s))
    return [_rate(trace, step * pace.sync_s) for step in steps]


def _start(world: World, trace: Trace, way: Way) -> None:
    """Let replicas for the first rate stand there, ready, and the first interval pass."""
    seen = Seen(0.0, Sample(0.0, _rate(trace, trace.pace.interval_s)), {}, {})
    way.observe(seen)
    world.scale(0.0, way.wanted(seen), start_s=0.0)
    _pass(world, trace, 0.0)


def _seen(world: World, trace: Trace, now_s: float) -> Seen:
    scraped_s = now_s - now_s % trace.pace.scrape_s
    sample = Sample(scraped_s, _rate(trace, scraped_s))
    return Seen(now_s, sample, world.running(), world.ready(now_s))


def _pass(world: World, trace: Trace, now_s: float) -> None:
    until_s = min(now_s + trace.pace.interval_s, trace.duration_s)
    first, last = (bisect_left(trace.arrivals_s, at) for at in (now_s, until_s))
    world.pass_time(now_s, until_s, trace.arrivals_s[first:last])


def _rate(trace: Trace, at_s: float) -> float:
    """Return the requests per second over the window before `at_s`, as `rate()` extrapolates."""
    since_s = max(0.0, at_s - trace.pace.window_s)
    if at_s <= since_s:
        return 0.0
    count = bisect_left(trace.arrivals_s, at_s) - bisect_left(trace.arrivals_s, since_s)
    return count / (at_s - since_s)


def _row(trace: Trace, world: World, before: tuple[int, int]) -> Row:
    counted_s = trace.duration_s - trace.pace.warm_up_s
    requests = world.service.requests - before[0] + world.service.unserved
    too_slow = world.service.too_slow - before[1] + world.service.unserved
    spent = world.spent
    return {
        "gpu_share": round(spent.share / counted_s, 4),
        "gpu_area": round(spent.area / counted_s, 4),
        "gpus_in_use": round(spent.gpus / counted_s, 3),
        "over_slo_percent": round(100 * too_slow / requests, 3),
        "pod_starts": spent.starts,
        "requests": requests,
    }
