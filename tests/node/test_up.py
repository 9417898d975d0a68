"""`gshare up` from start to stop, on the simulated GPU, with real processes."""

import json
import os
import signal
import sys
import time
import urllib.request

import pytest
from tests.support import manifests
from tests.support.manifests import changed, deployment, service
from tests.support.node_run import Machine, asking, client, interrupt, read_until, until

from gshare.runtime.tokend import Control

pytestmark = pytest.mark.timed

ANSWERING = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ['POD'].encode())
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
"""


def replicas(document: manifests.Object, count: int) -> manifests.Object:
    return changed(document, ("spec", "replicas"), count)


def shared_pair(quota: int = 50) -> manifests.Object:
    """Two replicas that ask for all SMs half of the time, so each must wait for its turn."""
    container = asking(client(sm_demand=80), 100, quota)
    document = deployment("busy", container, quota_limit=str(quota), gpu_mem="1Gi")
    return replicas(document, 2)


def test_replicas_get_what_they_were_promised(machine: Machine) -> None:
    report = machine.state.parent / "report.json"
    file = machine.write(shared_pair())

    ended = machine.run("up", file, "--time-scale", 4, "--duration", 3, "--report", report)

    assert ended.returncode == 0, ended.stderr
    (case,) = json.loads(report.read_text())["cases"]
    delivered = [replica["delivered_percent"] for replica in case["replicas"]]
    assert len(delivered) == 2
    assert all(45 <= percent <= 52 for percent in delivered), delivered
    assert case["max_concurrent_sm_percent"] <= 100
    assert "simulated" in ended.stderr
    assert not machine.state.exists()


def halves_that_pair_up() -> list[manifests.Object]:
    """Three functions of half of the SMs, for 60, 60 and 80 % of the time: a GPU's area, all."""
    return [
        deployment(
            f"half-{number}",
            asking(client(sm_demand=50), 50, quota),
            quota_limit=str(quota),
            gpu_mem="1Gi",
        )
        for number, quota in enumerate((60, 60, 80))
    ]


def test_what_no_rectangles_hold_gets_its_quota_in_slices(machine: Machine) -> None:
    report = machine.state.parent / "report.json"
    file = machine.write(*halves_that_pair_up())

    as_rectangles = machine.run("up", file, "--duration", 1, "--mode", "rect")
    in_slices = machine.run(
        "up", file, "--mode", "sliced", "--time-scale", 8, "--duration", 4, "--report", report
    )

    assert as_rectangles.returncode != 0
    assert in_slices.returncode == 0, in_slices.stderr
    (case,) = json.loads(report.read_text())["cases"]
    short = [
        replica["quota_request"] - replica["delivered_percent"] for replica in case["replicas"]
    ]
    assert len(short) == 3
    assert max(short) <= 5, case["replicas"]


def test_the_map_draws_every_slice(machine: Machine) -> None:
    file = machine.write(*halves_that_pair_up())
    up = machine.start("up", file, "--simulated", "--mode", "sliced")
    read_until(up, "3 of 3 replicas ready")

    (gpu,) = json.loads(machine.run("map", "--json").stdout)
    interrupt(up)

    boxes = gpu["boxes"]
    assert sum(box["width"] * box["height"] for box in boxes) == 10_000
    assert {box["function"] for box in boxes} == {"half-0", "half-1", "half-2"}
    assert len(boxes) > 3


def test_a_mode_that_does_not_exist_is_refused(machine: Machine) -> None:
    ended = machine.run("up", machine.write(shared_pair()), "--mode", "round")

    assert ended.returncode != 0
    assert "--mode: 'round': must be rect or sliced" in ended.stderr


def test_ctrl_c_stops_everything_and_is_no_failure(machine: Machine) -> None:
    up = machine.start("up", machine.write(shared_pair()), "--simulated")
    read_until(up, "2 of 2 replicas ready")

    out, err = interrupt(up)

    assert up.returncode == 0, err
    assert "delivered" in out
    assert not machine.processes()
    assert not machine.state.exists()


def test_a_killed_up_leaves_nothing_after_the_next_start(machine: Machine) -> None:
    stray = ["sh", "-c", "setsid sleep 300 & echo started; exec sleep 300"]
    document = deployment("stray", asking(manifests.container(command=stray), 100, 20))
    up = machine.start("up", machine.write(shared_pair(quota=40), document), "--simulated")
    read_until(up, "started", "3 of 3 replicas ready")
    old = {process.pid for process in machine.processes()}
    (dead,) = machine.records()
    up.kill()
    up.wait()

    following = machine.start(
        "up", machine.write(deployment("next", client()), name="next.yaml"), "--simulated"
    )
    read_until(following, "1 of 1 replicas ready")

    left = {process.pid for process in machine.processes()} & old
    folders = {path.name for path in machine.state.glob("gpus/*/leases/*")}
    assert not left
    assert folders == {"next-0"}
    assert dead.run_id not in {record.run_id for record in machine.records()}
    interrupt(following)
    assert not machine.processes()
    assert not machine.state.exists()


def test_a_replica_killed_under_its_token_costs_its_neighbours_nothing(machine: Machine) -> None:
    up = machine.start("up", machine.write(shared_pair()), "--simulated")
    read_until(up, "2 of 2 replicas ready")
    before = {row["replica"]: row["delivered_percent"] for row in machine.ps()}
    victim = machine.pids()["busy-0"]
    (gpu,) = machine.state.glob("gpus/*")
    until(lambda: Control(gpu).stats().lease("busy-0").holds)
    os.kill(victim, signal.SIGKILL)

    after = {row["replica"]: row["delivered_percent"] for row in machine.ps()}

    assert after["busy-1"] >= min(before["busy-1"], 50) - 4
    until(lambda: machine.pids().get("busy-0") not in (None, victim))
    interrupt(up)


def test_two_runs_share_one_gpu_and_the_first_may_leave(machine: Machine) -> None:
    half = asking(client(sm_demand=80), 100, 50)
    first = machine.start("up", machine.write(deployment("first", half)), "--simulated")
    read_until(first, "1 of 1 replicas ready")
    second = machine.start("up", machine.write(deployment("second", half), name="second.yaml"))
    read_until(second, "1 of 1 replicas ready")

    rows = machine.ps()
    interrupt(first)
    alone = machine.ps()

    assert {row["replica"] for row in rows} == {"first-0", "second-0"}
    assert len({row["gpu_uuid"] for row in rows}) == 1
    assert [row["replica"] for row in alone] == ["second-0"]
    assert alone[0]["delivered_percent"] > 90
    interrupt(second)
    assert not machine.state.exists()


def test_a_dead_token_daemon_is_started_again(machine: Machine) -> None:
    up = machine.start("up", machine.write(shared_pair()), "--simulated")
    read_until(up, "2 of 2 replicas ready")
    (daemon,) = (each for each in machine.processes() if each.name().startswith("gshare-tokend"))
    daemon.kill()

    until(
        lambda: [
            each
            for each in machine.processes()
            if each.name().startswith("gshare-tokend") and each.pid != daemon.pid
        ]
    )
    time.sleep(1)

    assert all(row["delivered_percent"] > 30 for row in machine.ps())
    interrupt(up)


def test_without_room_a_watched_replica_waits_and_starts_when_there_is(machine: Machine) -> None:
    whole = asking(client(), 100, 100)
    first = machine.start("up", machine.write(deployment("first", whole)), "--simulated")
    read_until(first, "1 of 1 replicas ready")
    waiting = machine.start(
        "up", machine.write(deployment("late", whole), name="late.yaml"), "--watch"
    )
    assert waiting.stderr
    while "late-0 is Pending" not in waiting.stderr.readline():
        pass

    interrupt(first)

    read_until(waiting, "launching")
    interrupt(waiting)
    assert not machine.state.exists()


def test_a_service_balances_over_ready_replicas(machine: Machine) -> None:
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    server = manifests.container(
        command=[sys.executable, "-c", ANSWERING],
        env=[{"name": "POD", "valueFrom": field}],
        ports=[{"containerPort": 8000}],
        readinessProbe={"httpGet": {"path": "/", "port": 8000}},
    )
    file = machine.write(
        replicas(deployment("web", server), 2),
        service("web", ports=[{"port": 80, "targetPort": 8000}]),
    )
    up = machine.start("up", file, "--simulated")
    read_until(up, "2 of 2 replicas ready")
    assert up.stderr
    address = next(line for line in up.stderr if "Service/web" in line).split()[-1]

    answers = [urllib.request.urlopen(f"http://{address}").read() for _ in range(4)]

    assert answers in ([b"web-0", b"web-1"] * 2, [b"web-1", b"web-0"] * 2)
    interrupt(up)


def test_a_container_that_ends_is_restarted_after_a_pause(machine: Machine) -> None:
    crashing = manifests.container(command=["sh", "-c", "echo hello; exit 3"])
    up = machine.start("up", machine.write(deployment("crash", crashing)), "--simulated")

    lines = read_until(up, "starts again in 2 s")

    said = [line for line in lines if "hello" in line]
    assert len(said) == 2
    assert said[0].startswith("crash-0 | ")
    assert any("exit code 3; starts again in 1 s" in line for line in lines)
    interrupt(up)


def test_a_second_ctrl_c_does_not_wait_for_the_grace(machine: Machine) -> None:
    deaf = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"]
    document = deployment("deaf", manifests.container(command=deaf))
    up = machine.start("up", machine.write(document), "--simulated", "--grace", 30)
    read_until(up, "deaf")
    started = time.monotonic()
    up.send_signal(signal.SIGINT)
    time.sleep(0.3)

    interrupt(up)

    assert up.returncode == 0
    assert time.monotonic() - started < 5
    assert not machine.processes()
    assert not machine.state.exists()


def test_a_watched_workload_starts_without_the_replica_that_does_not_fit(machine: Machine) -> None:
    document = replicas(deployment("big", asking(client(), 60, 60), gpu_mem="1Gi"), 2)

    up = machine.start("up", machine.write(document), "--simulated", "--watch")

    read_until(up, "1 of 2 replicas ready, 1 pending")
    assert [row["replica"] for row in machine.ps()] == ["big-0"]
    interrupt(up)
