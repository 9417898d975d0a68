"""The example server alone on a simulated V100: its throughput, its end, its refusals."""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest
from tests.support import example_server

import gshare_simgpu
from gshare.runtime.native import Native
from gshare_example_server import models

pytestmark = pytest.mark.timed

MIB = 1024 * 1024


@pytest.fixture
def node(tmp_path: Path) -> Iterator[gshare_simgpu.SimulatedNode]:
    topology = gshare_simgpu.Topology.uniform("v100", count=1)
    node = gshare_simgpu.SimulatedNode.create(tmp_path / "simgpu", topology, Native.locate().simgpu)
    yield node
    node.destroy()


def environment(node: gshare_simgpu.SimulatedNode, sm_percent: int = 100) -> dict[str, str]:
    return {
        **node.environment(),
        "CUDA_VISIBLE_DEVICES": "0",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(sm_percent),
        "GSHARE_SIMGPU_LABEL": "server",
    }


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


ARRIVED = "gshare_function_requests_total"
CURVES = [
    pytest.param("resnet50", 6, 49.8, id="ResNet-50 at 6 %"),
    pytest.param("resnet50", 12, 68.5, id="ResNet-50 at 12 %"),
    pytest.param("resnet50", 24, 75.0, id="ResNet-50 at 24 %"),
    pytest.param("resnet50", 100, 75.0, id="ResNet-50 at 100 %"),
    pytest.param("rnnt", 12, 10.5, id="RNNT at 12 %"),
    pytest.param("rnnt", 100, 12.5, id="RNNT at 100 %"),
]


@pytest.mark.parametrize(("model", "sm_percent", "published_rps"), CURVES)
def test_a_saturated_server_gives_the_published_throughput(
    node: gshare_simgpu.SimulatedNode, model: str, sm_percent: int, published_rps: float
) -> None:
    with example_server.running(environment(node, sm_percent), f"--model={model}") as server:
        throughput = server.saturated_rps(seconds=1.2)

    assert throughput == pytest.approx(published_rps, rel=0.02)


def test_the_server_holds_the_memory_that_its_model_says(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    model = models.load("resnet50")

    with example_server.running(environment(node)):
        used = node.counters(node.gpus[0].uuid).memory_used_bytes

    context = used - (model.weights_mib + model.workspace_mib) * MIB
    assert 200 * MIB < context < 330 * MIB


def test_requests_are_answered_by_get_and_by_post(node: gshare_simgpu.SimulatedNode) -> None:
    with example_server.running(environment(node)) as server:
        answers = [server.get("/infer"), server.get("/infer", "POST", b"an image")]

    assert [status for status, _ in answers] == [200, 200]


def test_an_input_longer_than_the_model_takes_is_refused(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    too_long = b"x" * (models.load("rnnt").input_bytes + 1)

    with example_server.running(environment(node), "--model=rnnt") as server:
        status, text = server.get("/infer", "POST", too_long)

    assert status == 413
    assert b"do not fit" in text


def test_metrics_count_requests_and_their_gpu_seconds(node: gshare_simgpu.SimulatedNode) -> None:
    with example_server.running(environment(node)) as server:
        for _ in range(3):
            server.get("/infer")
        answered = server.figure('example_requests_total{model="resnet50",status="200"}')
        gpu_seconds = server.figure('example_gpu_seconds_total{model="resnet50"}')

    assert answered == 3
    # One request at a time leaves the GPU idle while the host enqueues: that time is counted too.
    assert 3 / 75 <= gpu_seconds < 1.3 * 3 / 75


def test_sigterm_answers_every_accepted_request_and_closes_the_port(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    answers: list[int] = []
    with example_server.running(environment(node), "--model=rnnt") as server:
        clients = [
            threading.Thread(target=lambda: answers.append(server.get("/infer")[0]))
            for _ in range(8)
        ]
        for client in clients:
            client.start()
        time.sleep(0.1)

        server.process.terminate()
        for client in clients:
            client.join()

        assert answers == [200] * 8
        assert server.process.wait(10) == 0
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=1)


def test_requests_that_wait_for_a_saturated_server_have_arrived(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    """RNNT takes 80 ms, and 16 threads serve: of 60 requests at once most wait for a thread."""
    port = free_port()
    options = ("--model=rnnt", f"--metrics-port={port}")
    with example_server.running(environment(node), *options) as server:
        clients = [threading.Thread(target=server.get, args=("/infer",)) for _ in range(60)]
        for client in clients:
            client.start()
        time.sleep(0.5)

        arrived = server.figure(ARRIVED, port)
        answered = server.figure('example_requests_total{model="rnnt",status="200"}', port)
        health, _ = server.get("/healthz", port=port)
        for client in clients:
            client.join()
        in_the_end = server.figure(ARRIVED, port)

    assert arrived == 60
    assert answered < 15
    assert health == 200
    assert in_the_end == 60


def test_a_draining_server_serves_until_its_time_is_over(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    with example_server.running(environment(node), "--drain-seconds=1") as server:
        server.process.terminate()
        time.sleep(0.7)

        status, _ = server.get("/infer")

        assert status == 200
        assert server.process.wait(10) == 0


def test_a_draining_server_says_that_it_is_not_ready(node: gshare_simgpu.SimulatedNode) -> None:
    with example_server.running(environment(node)) as server:
        before, _ = server.get("/healthz")
        server.process.terminate()
        time.sleep(0.1)
        during, _ = server.get("/healthz")

    assert (before, during) == (200, 503)


def test_a_model_that_does_not_fit_is_one_line_and_exit_code_1(
    node: gshare_simgpu.SimulatedNode,
) -> None:
    with (
        example_server.running(environment(node), "--model=vit_huge"),
        example_server.running(environment(node), "--model=vit_huge"),
        example_server.running(environment(node), "--model=vit_huge"),
    ):
        fourth = example_server.start(environment(node), "--model=vit_huge")
        _, errors = fourth.communicate(timeout=30)

    line = next(line for line in errors.splitlines() if line.startswith("gshare-example-server"))
    assert "vit_huge" in line
    assert "CUDA_ERROR_OUT_OF_MEMORY" in line
    assert "Traceback" not in errors
    assert fourth.returncode == 1


@pytest.mark.skipif(find_library("cuda") is not None, reason="this machine has a CUDA driver")
def test_a_machine_without_a_driver_is_one_line_and_exit_code_1() -> None:
    process = example_server.start({"LD_LIBRARY_PATH": ""})

    _, errors = process.communicate(timeout=30)

    assert len(errors.splitlines()) == 1
    assert "no CUDA driver" in errors
    assert process.returncode == 1
