"""The program `gshare-extender` as a process, and the events of its reporter."""

import re
import signal
import subprocess
import sys

import pytest
from tests.support.fake_api_server import FakeApiServer, wait_until
from tests.support.scheduling import SchedulerSide, as_node, as_pod, gpu_node, gpu_pod, placement

from gshare.runtime.kube import ApiServer, EventWriter
from gshare_extender import metrics
from gshare_extender.cluster import Cluster
from gshare_extender.reporter import Reporter
from gshare_extender.settings import ExtenderSettings


@pytest.fixture
def api():
    with FakeApiServer() as found:
        found.put("nodes", gpu_node("a"))
        yield found


def start(*flags):
    command = [sys.executable, "-m", "gshare_extender", *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_the_program_serves_until_it_is_told_to_end(api, tmp_path):
    config = str(api.kubeconfig(tmp_path))
    listen = ("--listen=127.0.0.1:0", "--metrics=127.0.0.1:0")
    with start(*listen, f"--kubeconfig={config}") as program:
        line = next(line for line in program.stderr if "event=serving" in line)
        scheduler = SchedulerSide(int(re.search(r"scheduler_port=(\d+)", line)[1]))
        wait_until(lambda: scheduler.get("/readyz")[0] == 200, timeout_s=10)

        offer = scheduler.filter(gpu_pod(), ["a"])
        program.send_signal(signal.SIGTERM)
        rest = program.stderr.read()

    assert offer["NodeNames"] == ["a"]
    assert program.returncode == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--kubeconfig=/nowhere"], 1, "gshare-extender: kubeconfig /nowhere: there is no such"),
        (["--listen=nonsense"], 2, "'nonsense': must be HOST:PORT or :PORT"),
        (["--filter-nodes=0"], 2, "0: must be above 0"),
    ],
    ids=["no kubeconfig", "no address", "no nodes"],
)
def test_what_cannot_be_is_said_in_one_line(flags, code, text):
    with start(*flags) as program:
        said = program.stderr.read()

    assert program.returncode == code
    assert text in said.splitlines()[-1]


def test_inconsistencies_are_told_once_by_events_after_a_second_look(api, tmp_path):
    cluster = Cluster(ExtenderSettings())
    events = EventWriter(ApiServer.connect(api.kubeconfig(tmp_path)), "gshare.io/extender", "test")
    reporter = Reporter(cluster, events, metrics.counts())
    cluster.take_node("put", as_node(gpu_node("a")))
    for name in ("one", "two"):
        held = placement("a", 60, 60)
        pod = gpu_pod(name, "60", "60", node="a", placement=held)
        cluster.take_pod("put", as_pod(pod))
    cluster.take_pod("put", as_pod(gpu_pod("astray", node="a")))

    reporter.look()
    after_one = len(api.select("events", None, {}))
    for _ in range(3):
        reporter.look()
    events.stop()

    told = {
        (each["regarding"]["kind"], each["regarding"]["name"], each["reason"])
        for each in api.select("events", None, {})
    }
    assert after_one == 0
    assert told == {
        ("Node", "a", "GpuPlacementsConflict"),
        ("Pod", "astray", "GpuPlacementMissing"),
    }
    assert len(api.select("events", None, {})) == 2
