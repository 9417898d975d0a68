"""Entry point: `python -m gshare_example_server.load.open_loop --url URL --trace '0:0 5:30 35:60'`.

Offers an open loop: each request is sent when it is due, however many others still wait for their
answers, each on a connection of its own, so that a Service's balancing sees every one of them.
Latency counts from the moment a request was due: a sender that is late hides nothing. What is
measured is printed as one JSON object a line, those of each second together, a summary at the end.
SIGTERM ends the trace early.
"""

import argparse
import dataclasses
import http.client
import json
import signal
import sys
import time
import urllib.parse
from collections.abc import Iterator

from gevent import event, pool, socket  # type: ignore[import-untyped]

from . import trace

_FAILED = 0
_OK = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due, how late it was sent, when it was answered, and how."""

    due_s: float
    late_ms: float
    latency_ms: float
    status: int
    """HTTP's; 0 where there was no answer."""
    failure: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the request was not served."""
        return self.status != _OK

    def row(self) -> list[float | int | str]:
        """Return it as the report has it."""
        return [*map(_short, (self.due_s, self.late_ms, self.latency_ms)), self.status]


class Offer:
    """One run of a trace against a URL."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "", parts.port or http.client.HTTP_PORT)
        self._path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        self._timeout_s = timeout_s
        self._sent = pool.Group()
        self._ended = event.Event()
        self._began = 0.0
        self.answers: list[Answer] = []

    def run(self, moments: Iterator[float]) -> None:
        """Send a request at each of `moments`, and return when all are answered or given up."""
        self._began = time.monotonic()
        for due_s in moments:
            if self._ended.wait(max(0.0, due_s - self._now_s())):
                break
            self._sent.spawn(self._ask, due_s)
        self._sent.join()

    def end(self) -> None:
        """Send no more."""
        self._ended.set()

    def taken(self) -> list[Answer]:
        """Return the answers that came since the last call, and forget them."""
        found, self.answers = self.answers, []
        return found

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    def _ask(self, due_s: float) -> None:
        sent_s = self._now_s()
        status, failure = _FAILED, ""
        try:
            status = self._get()
        except (OSError, http.client.HTTPException) as error:
            failure = f"{type(error).__name__}: {error}"
        late_ms, latency_ms = 1000 * (sent_s - due_s), 1000 * (self._now_s() - due_s)
        self.answers.append(Answer(due_s, late_ms, latency_ms, status, failure))

    def _get(self) -> int:
        """Send one request, once, and return the answer's status when all of it is here."""
        connection = http.client.HTTPConnection(*self._address)
        try:
            connection.sock = socket.create_connection(self._address, self._timeout_s)
            connection.request("GET", self._path, headers={"Connection": "close"})
            with connection.getresponse() as response:
                response.read()
                return response.status
        finally:
            connection.close()


def summary(answers: list[Answer], slo_ms: float | None) -> dict[str, float | int | None]:
    """Return what is told of a whole run; percentiles of all requests, failed ones included."""
    latencies = sorted(answer.latency_ms for answer in answers)
    found: dict[str, float | int | None] = {
        "requests": len(answers),
        "failures": sum(answer.is_failure for answer in answers),
    }
    for percent in (50, 95, 99):
        found[f"p{percent}_ms"] = _percentile(latencies, percent)
    if slo_ms is not None:
        missed = sum(answer.is_failure or answer.latency_ms > slo_ms for answer in answers)
        found["over_slo_percent"] = _short(100 * missed / len(answers)) if answers else None
    return found


def _percentile(ordered: list[float], percent: int) -> float | None:
    """Return the least value that `percent` of `ordered` do not exceed; None of nothing."""
    if not ordered:
        return None
    return _short(ordered[max(0, -(-len(ordered) * percent // 100) - 1)])


def _short(value: float) -> float:
    return round(value, 3)


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _tell(answers: list[Answer]) -> None:
    """Print what came since the last time: rows, and the texts of failures apart."""
    if answers:
        failures = [[_short(each.due_s), each.failure] for each in answers if each.failure]
        _say(answers=[each.row() for each in answers], **({"failed": failures} if failures else {}))


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gshare_example_server.load.open_loop")
    parser.add_argument("--url", required=True, help="what is asked for, by GET")
    parser.add_argument("--trace", required=True, help="rates over time: 't:rps t:rps ...'")
    parser.add_argument(
        "--poisson", type=int, metavar="SEED", help="random arrivals; default: even ones"
    )
    parser.add_argument("--slo", type=float, metavar="MS", help="also say how many took longer")
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds for one request (default: 10)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the trace and return the exit code: 0, 1 where a request failed, 2 for a wrong option."""
    options = _arguments(arguments)
    if not options.url.startswith("http://"):
        print(f"load: url: {options.url!r} is not an http URL", file=sys.stderr)  # noqa: T201
        return 2
    try:
        course = trace.Trace.parse(options.trace)
    except trace.TraceError as error:
        print(f"load: trace: {error}", file=sys.stderr)  # noqa: T201
        return 2
    gaps = trace.even() if options.poisson is None else trace.poisson(options.poisson)
    offer = Offer(options.url, options.timeout)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: offer.end())
    answers = _run(offer, course.arrivals(gaps))
    found = summary(answers, options.slo)
    _say(summary=found)
    return 1 if found["failures"] else 0


def _run(offer: Offer, moments: Iterator[float]) -> list[Answer]:
    """Run it and return all answers, which are printed every second."""
    _say(began_at=time.time())
    running = pool.Group()
    run = running.spawn(offer.run, moments)
    told: list[Answer] = []
    while not run.ready():
        run.join(1.0)
        new = offer.taken()
        _tell(new)
        told += new
    run.get()
    return told


if __name__ == "__main__":
    sys.exit(main())
