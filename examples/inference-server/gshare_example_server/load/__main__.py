"""Entry point: `python -m gshare_example_server.load --target resnet=http://127.0.0.1:8080/infer`.

Runs until `--seconds` are over or SIGTERM comes, then prints one JSON report.
"""

import argparse
import dataclasses
import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
import locust
import locust.env
from gevent import event, sleep

from .targets import Result, Target, TargetError

_METHOD = "GET"
_PARENT_PERIOD_SECONDS = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gshare_example_server.load")
    parser.add_argument(
        "--target",
        action="append",
        required=True,
        metavar="NAME=URL[,users=N][,rate=R]",
        help="put load on URL; may be given several times",
    )
    parser.add_argument("--seconds", type=float, default=None, help="measured time; default: all")
    parser.add_argument("--warm-up", type=float, default=0, help="seconds before it, not counted")
    parser.add_argument("--report", type=Path, help="also write the report to this file")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when the process that started us does"
    )
    return parser.parse_args()


def _user_class(target: Target) -> type[locust.FastHttpUser]:
    """Return a Locust user that loads `target`, with as many users as it asks for."""

    def request(user: locust.FastHttpUser) -> None:
        user.client.get(target.url, name=target.name)

    behaviour = _fixed_rate(target) if target.rate_rps else {"wait_time": locust.constant(0)}
    return type(
        f"User_{target.name}",
        (locust.FastHttpUser,),
        {
            "host": target.url,
            "fixed_count": target.users,
            "tasks": [request],
            "connection_timeout": 5.0,
            "network_timeout": 120.0,
            **behaviour,
        },
    )


def _fixed_rate(target: Target) -> dict[str, Any]:
    """Return the parts of a user that keep the rate: arrivals are even, users take turns.

    Locust's own constant_throughput starts all users together and keeps them so: bursts.
    """
    started = itertools.count()
    period_seconds = target.users / target.rate_rps

    def on_start(user: Any) -> None:  # noqa: ANN401 (the attribute `due` is ours)
        phase_seconds = next(started) / target.rate_rps
        user.due = time.monotonic() + phase_seconds
        sleep(phase_seconds)

    def wait_time(user: Any) -> float:  # noqa: ANN401
        now = time.monotonic()
        user.due = max(user.due + period_seconds, now)
        return float(user.due - now)

    return {"on_start": on_start, "wait_time": wait_time}


def _result(environment: locust.env.Environment, target: Target, seconds: float) -> Result:
    entry = environment.stats.get(target.name, _METHOD)
    p50, p95, p99 = (float(entry.get_response_time_percentile(p)) for p in (0.5, 0.95, 0.99))
    return Result(
        name=target.name,
        requests=entry.num_requests,
        failures=entry.num_failures,
        seconds=round(seconds, 3),
        requests_per_second=round((entry.num_requests - entry.num_failures) / seconds, 3),
        mean_ms=round(entry.avg_response_time, 3),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _end_with_parent(ended: event.Event) -> None:
    """Set `ended` when our parent is another one than now."""
    parent = os.getppid()
    while os.getppid() == parent:
        sleep(_PARENT_PERIOD_SECONDS)
    ended.set()


def _run(targets: list[Target], options: argparse.Namespace) -> list[Result]:
    environment = locust.env.Environment(user_classes=[_user_class(t) for t in targets])
    runner = environment.create_local_runner()
    ended = event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.end_with_parent:
        gevent.spawn(_end_with_parent, ended)
    users = sum(target.users for target in targets)
    runner.start(users, spawn_rate=users)
    ended.wait(options.warm_up)
    environment.stats.reset_all()
    began = time.monotonic()
    ended.wait(options.seconds)
    seconds = time.monotonic() - began
    results = [_result(environment, target, seconds) for target in targets]
    runner.quit()
    return results


def main() -> int:
    """Run the load and return the exit code: 0, or 1 where no request succeeded."""
    options = _arguments()
    try:
        targets = [Target.parse(text) for text in options.target]
    except TargetError as error:
        print(f"load: {error}", file=sys.stderr)  # noqa: T201
        return 2
    results = _run(targets, options)
    report = json.dumps({"targets": [dataclasses.asdict(result) for result in results]}, indent=2)
    print(report)  # noqa: T201
    if options.report:
        options.report.write_text(report + "\n", encoding="utf-8")
    return 0 if all(result.requests > result.failures for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
