"""What the autoscaler asks and understands, against a real Prometheus (Debian's).

A small target counts requests at a rate that the test sets; Prometheus scrapes it often.
"""

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from tests.support.fake_api_server import wait_until

from gshare import names
from gshare_autoscaler import queries
from gshare_autoscaler.conditions import Reason, TroubleError
from gshare_autoscaler.prometheus import Prometheus
from gshare_autoscaler.queries import Query
from gshare_autoscaler.settings import PrometheusSettings

PROGRAM = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Debian's package prometheus")
VALUES = {"namespace": "team", "function": "resnet", "window": "2s"}
RATE_RPS = 40.0


class Target(ThreadingHTTPServer):
    """Counts RATE_RPS requests a second since it began."""

    daemon_threads = True

    def __init__(self):
        self.began_at_s = time.monotonic()
        super().__init__(("127.0.0.1", 0), _Page)


class _Page(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        count = RATE_RPS * (time.monotonic() - self.server.began_at_s)
        labels = '{namespace="team",function="resnet"}'
        body = f"{names.METRIC_FUNCTION_REQUESTS}{labels} {count}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Run a Prometheus that scrapes a target; return its URL once it has data."""
    folder, target = tmp_path_factory.mktemp("prometheus"), Target()
    threading.Thread(target=target.serve_forever, args=(0.05,), daemon=True).start()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\n"
        "scrape_configs:\n- job_name: target\n  static_configs:\n"
        f"  - targets: ['127.0.0.1:{target.server_address[1]}']\n"
    )
    port = free_port()
    with (folder / "log").open("w") as log:
        program = subprocess.Popen(
            [
                *(PROGRAM, f"--config.file={folder}/prometheus.yml"),
                *(f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"),
            ],
            stderr=log,
            stdout=log,
        )
    try:
        found = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(found), 20)
        yield found
    finally:
        program.terminate()
        program.wait(20)
        target.shutdown()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(url):
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return urllib3.request("GET", f"{url}/-/ready", timeout=1, retries=False).status == 200
    return False


@pytest.fixture
def prometheus(url):
    return Prometheus(PrometheusSettings(url=url), 2)


@pytest.fixture
def rated(prometheus):
    """Return the default query, once it has a rate that rests on a whole window."""
    query = queries.query(queries.DEFAULT, "here", VALUES)

    def is_steady():
        with contextlib.suppress(TroubleError):
            return abs(prometheus.ask(query).rate_rps - RATE_RPS) < 2
        return False

    wait_until(is_steady, 20)
    return query


def trouble(prometheus, promql):
    with pytest.raises(TroubleError) as caught:
        prometheus.ask(Query(promql, "here"))
    return caught.value.trouble


def test_the_default_query_finds_the_rate(prometheus, rated):
    found = prometheus.ask(rated)

    assert found.rate_rps == pytest.approx(RATE_RPS, rel=0.1)
    assert found.at_s == pytest.approx(time.time(), abs=2)


def test_the_past_comes_oldest_first_and_without_what_was_before(prometheus, rated):
    found = prometheus.history(rated, 300.0, 0.5)

    assert 1 <= len(found) < 200
    assert [each.at_s for each in found] == sorted(each.at_s for each in found)
    assert found[-1].rate_rps == pytest.approx(RATE_RPS, rel=0.1)


@pytest.mark.parametrize("preset", queries.PRESETS)
def test_every_preset_is_promql(prometheus, preset):
    """Those of others find nothing here, and are understood."""
    query = queries.query(preset, "here", {**VALUES, "function": "other"})

    assert trouble(prometheus, query.promql).reason is Reason.NO_DATA
    assert prometheus.history(query, 10.0, 1.0) == []


@pytest.mark.parametrize(
    ("promql", "reason", "part"),
    [
        ("sum(", Reason.QUERY_REFUSED, "Prometheus says: "),
        ("nothing_here", Reason.NO_DATA, "finds no series"),
        ("0 / 0", Reason.NO_DATA, "gives NaN"),
        ("1 / 0", Reason.QUERY_REFUSED, "gives +Inf"),
        ("vector(-3)", Reason.QUERY_REFUSED, "gives -3"),
        ("'text'", Reason.QUERY_REFUSED, "gives a string"),
        (f"{names.METRIC_FUNCTION_REQUESTS}[1m]", Reason.QUERY_REFUSED, "gives a matrix"),
        ("up or vector(1)", Reason.QUERY_REFUSED, "gives 2 series"),
    ],
    ids=[
        "a parse error",
        "an unknown name",
        "no number",
        "no end",
        "below zero",
        "a text",
        "a range",
        "several series",
    ],
)
def test_what_gives_no_rate_is_told_apart(prometheus, rated, promql, reason, part):  # noqa: ARG001
    found = trouble(prometheus, promql)

    assert found.reason is reason
    assert part in found.text
    assert "\n" not in found.text


def test_a_number_without_series_is_a_rate(prometheus):
    assert prometheus.ask(Query("scalar(vector(7))", "here")).rate_rps == 7.0
