"""The open loop against a plain HTTP server: it waits for nobody, and hides nothing."""

import http.server
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.timed

SLOW_S = 0.6


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(SLOW_S)
        if self.path == "/mute":
            return
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture
def url() -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _start(url: str, trace: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "gshare_example_server.load.open_loop"),
            *("--url", url, "--trace", trace, *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(run: subprocess.Popen[str]) -> tuple[list[list[float]], dict[str, Any]]:
    """Return a run's rows and its summary."""
    output, errors = run.communicate(timeout=30)
    assert not errors
    lines = [json.loads(line) for line in output.splitlines()]
    rows = [row for line in lines for row in line.get("answers", ())]
    return sorted(rows), lines[-1]["summary"]


def test_requests_are_sent_when_due_however_slow_the_answers_are(url: str) -> None:
    run = _start(f"{url}/slow", "0:20 2:20", "--slo=100")

    rows, summary = _end(run)

    assert len(rows) == summary["requests"] == 40
    assert [row[0] for row in rows[:3]] == [0.05, 0.1, 0.15]
    assert sorted(row[1] for row in rows)[20] < 20
    assert summary["p50_ms"] == pytest.approx(1000 * SLOW_S, abs=100)
    assert summary["over_slo_percent"] == 100
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("path", "status"), [pytest.param("/broken", 500, id="500"), pytest.param("/mute", 0, id="EOF")]
)
def test_a_request_that_is_not_served_is_a_failure_and_is_not_sent_again(
    url: str, path: str, status: int
) -> None:
    run = _start(url + path, "0:10 1:10")

    rows, summary = _end(run)

    assert [row[3] for row in rows] == [status] * 10
    assert summary["failures"] == 10
    assert run.returncode == 1


def test_sigterm_ends_the_trace_and_the_report_is_whole(url: str) -> None:
    run = _start(f"{url}/slow", "0:20 60:20")
    assert run.stdout
    assert "began_at" in run.stdout.readline()
    time.sleep(1.5)

    run.send_signal(signal.SIGTERM)
    rows, summary = _end(run)

    assert 0 < len(rows) == summary["requests"] < 100
    assert summary["failures"] == 0


@pytest.mark.parametrize(
    ("url", "trace", "told"),
    [
        pytest.param("ftp://h/", "0:1 1:1", "ftp://h/", id="not http"),
        pytest.param("http://h/", "0:1 x", "'x'", id="no trace"),
    ],
)
def test_a_wrong_option_is_one_line(url: str, trace: str, told: str) -> None:
    run = _start(url, trace)

    _, errors = run.communicate(timeout=30)

    assert told in errors
    assert len(errors.splitlines()) == 1
    assert run.returncode == 2
