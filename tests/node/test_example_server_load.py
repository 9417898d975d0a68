"""The load against a plain HTTP server: its rates, its report, its end."""

import http.server
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gshare_example_server.load import Load, Target, read_report

pytestmark = pytest.mark.timed


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers after 20 ms; notes when requests came and how many were served at once."""

    protocol_version = "HTTP/1.1"
    arrivals: list[float] = []  # noqa: RUF012 (one server a test)
    open_requests = 0
    most_at_once = 0
    counting = threading.Lock()

    def do_GET(self) -> None:
        with self.counting:
            self.arrivals.append(time.monotonic())
            type(self).open_requests += 1
            type(self).most_at_once = max(self.most_at_once, self.open_requests)
        time.sleep(0.02)
        with self.counting:
            type(self).open_requests -= 1
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def handler() -> Iterator[tuple[type[_Handler], str]]:
    class Handler(_Handler):
        arrivals: list[float] = []  # noqa: RUF012

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_fixed_rate_is_kept_with_even_arrivals(handler: tuple[type[_Handler], str]) -> None:
    served, url = handler

    with Load([Target("a", url, users=8, rate_rps=40)], "--seconds=2"):
        time.sleep(2.8)

    gaps = [later - earlier for earlier, later in itertools.pairwise(served.arrivals)]
    assert len(gaps) / sum(gaps) == pytest.approx(40, rel=0.05)
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(1 / 40, abs=0.005)


def test_a_closed_loop_keeps_every_user_busy_and_reports_each_target(
    handler: tuple[type[_Handler], str], tmp_path: Path
) -> None:
    served, url = handler
    report = tmp_path / "load.json"
    targets = [Target("good", f"{url}/infer", users=3), Target("bad", f"{url}/broken", users=2)]

    with Load(targets, "--seconds=1", f"--report={report}") as load:
        while load.is_running:
            time.sleep(0.05)

    good, bad = read_report(report)
    assert served.most_at_once == 5
    assert (good.name, good.failures) == ("good", 0)
    assert 20 <= good.p50_ms < 60  # Locust rounds to whole milliseconds
    assert good.requests_per_second == pytest.approx(3 / (good.mean_ms / 1000), rel=0.15)
    assert (bad.name, bad.failures, bad.requests_per_second) == ("bad", bad.requests, 0)


def test_the_load_ends_with_the_process_that_started_it(
    handler: tuple[type[_Handler], str],
) -> None:
    served, url = handler
    program = (
        "import sys, time; from gshare_example_server.load import Load, Target\n"
        "with Load([Target('a', sys.argv[1])]): time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, url])
    while not served.arrivals:
        time.sleep(0.05)

    parent.kill()
    parent.wait()
    time.sleep(1.5)

    assert time.monotonic() - served.arrivals[-1] > 0.5
