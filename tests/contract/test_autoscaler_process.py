"""The program `gshare-autoscaler`: flags, signals, and its death at any time."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from tests.support.autoscaler import config_map, deployment
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.fake_prometheus import FakePrometheus, constant

PROGRAM = [sys.executable, "-m", "gshare_autoscaler"]


@pytest.fixture
def api():
    with FakeApiServer() as found:
        found.put("deployments", deployment("thin"))
        found.put("configmaps", config_map())
        yield found


@pytest.fixture
def prometheus():
    with FakePrometheus(rate=constant(60.0)) as found:
        yield found


class Program:
    """One running autoscaler."""

    def __init__(self, log, arguments):
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen([*PROGRAM, *arguments], stderr=out)

    @property
    def port(self):
        found = re.search(r"metrics_port=(\d+)", self.log.read_text())
        return int(found[1]) if found else 0

    def replicas(self):
        """Return what its page says of the Deployment thin; None while it says nothing."""
        with contextlib.suppress(OSError, urllib.error.URLError, IndexError):
            url = f"http://127.0.0.1:{self.port}/v1/functions"
            with urllib.request.urlopen(url, timeout=1) as answer:
                return json.loads(answer.read())[0]["deployments"][0]["answered"]
        return None


@pytest.fixture
def start(api, prometheus, tmp_path):
    """Return how to start the program; whatever still runs is killed."""
    started = []

    def start_(*more):
        arguments = [
            *("--kubeconfig", str(api.kubeconfig(tmp_path)), "--prometheus", prometheus.url),
            *("--metrics", "127.0.0.1:0", "--custom-metrics", "off", "--keda", "off"),
            *("--interval", "0.1", *more),
        ]
        started.append(Program(tmp_path / f"log-{len(started)}", arguments))
        return started[-1]

    yield start_
    for each in started:
        each.process.kill()
        each.process.wait()


def test_it_serves_until_it_is_told_to_end(start):
    program = start()
    wait_until(lambda: program.replicas() == 3, 20)

    program.process.send_signal(signal.SIGTERM)

    assert program.process.wait(10) == 0
    assert "Traceback" not in program.log.read_text()


def test_a_killed_one_is_replaced_by_one_that_says_the_same(start, prometheus):
    """The rate fell; what it was still counts for the window, whoever remembers it."""
    fell_at_s = time.time() - 30
    prometheus.rate = lambda at_s: 110.0 if at_s < fell_at_s else 10.0
    first = start()
    wait_until(lambda: first.replicas() is not None, 20)
    before = first.replicas()

    first.process.kill()
    second = start()
    wait_until(lambda: second.replicas() is not None, 20)

    assert (before, second.replicas()) == (4, 4)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--prometheus", "prometheus:9090"], "'prometheus:9090': must begin with http"),
        (["--window", "1 minute"], "'1 minute': must be a time such as 30s"),
        (["--headroom", "0.5"], "headroom 0.5: must be 1 or more"),
        (["--interval", "soon"], "'soon': must be a number from 0"),
        (["--metrics", "nowhere"], "'nowhere': must be HOST:PORT"),
        (["--policy", "best"], "invalid choice: 'best'"),
    ],
    ids=["URL", "window", "headroom", "interval", "address", "policy"],
)
def test_a_flag_that_makes_no_sense_is_named(flags, part):
    ended = subprocess.run([*PROGRAM, *flags], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert part in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_ends_it_with_one_line(start, api, prometheus, tmp_path):
    first = start()
    wait_until(lambda: first.port, 20)

    ended = subprocess.run(
        [
            *(*PROGRAM, "--kubeconfig", str(api.kubeconfig(tmp_path))),
            *("--metrics", f"127.0.0.1:{first.port}", "--prometheus", prometheus.url),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("gshare-autoscaler: cannot listen on 127.0.0.1")
