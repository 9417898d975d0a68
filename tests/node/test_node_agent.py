"""The node agent on a simulated GPU: what a container gets makes a CUDA program keep its limits."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import gpu_pods
from tests.support.node_agent import NodeAgent, agent
from tests.support.node_run import CLIENT, read_until, until

from gshare import names
from gshare.runtime.native import Native
from gshare_simgpu import SimulatedNode

pytestmark = pytest.mark.timed

TIME_SCALE = 4
_HOOK = "/usr/local/gshare/libgshare_hook.so"


@pytest.fixture
def node() -> Iterator[NodeAgent]:
    with agent(time_scale=TIME_SCALE) as made:
        yield made


def environment(edits: dict) -> dict[str, str]:
    """Return the environment of a container, its paths as the host has them.

    Mounts are applied by hand: a path below a mount's container path is that below its host path.
    """
    mounts = {each["containerPath"]: each["hostPath"] for each in edits["mounts"]}

    def on_host(value: str) -> str:
        for inside in sorted(mounts, key=len, reverse=True):
            if value == inside or value.startswith(f"{inside}/"):
                return mounts[inside] + value[len(inside) :]
        return value

    preloaded = Path(mounts["/etc/ld.so.preload"]).read_text().strip()
    assert preloaded == _HOOK
    pairs = (variable.partition("=")[::2] for variable in edits["env"])
    return {name: on_host(value) for name, value in pairs} | {"LD_PRELOAD": on_host(_HOOK)}


@contextmanager
def container(node: NodeAgent, name: str, sm: int, quota: int, limit: int) -> Iterator[str]:
    """Start a pod whose container keeps the GPU busy; yield its lease's id."""
    annotations = {names.ANNOTATION_QUOTA_LIMIT: str(limit)}
    pod = gpu_pods.pod(name, sm=sm, quota=quota, gpu=node.gpus[0], annotations=annotations)
    node.api.put("pods", pod)
    admitted = node.kubelet.admit("team", name, sm, quota)
    node.kubelet.start(admitted)
    variables = environment(node.edits(admitted.cdi[0]))
    process = subprocess.Popen(
        [sys.executable, str(CLIENT), str(max(1, 80 * sm // 100)), "1000"],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        read_until(process, "launching")
        yield node.leases[name].lease_id
    finally:
        process.kill()
        process.communicate()
        node.api.drop("pods", name, "team")
        node.kubelet.remove(admitted)


def shares(node: NodeAgent, *lease_ids: str, seconds: float) -> list[float]:
    """Return which share of the time each lease had the GPU, by the simulator's own account."""
    gpus = SimulatedNode.open(node.state / "simgpu", Native.locate().simgpu)
    before = gpus.counters(node.gpus[0])
    time.sleep(seconds)
    after = gpus.counters(node.gpus[0])
    gpus.close()
    passed = after.now_ns - before.now_ns
    return [
        (after.account(each).busy_ns - before.account(each).busy_ns) / passed for each in lease_ids
    ]


def test_a_container_gets_its_quota_and_no_more(node: NodeAgent) -> None:
    with container(node, "capped", sm=50, quota=30, limit=30) as lease:
        (share,) = shares(node, lease, seconds=3)

        metrics = node.metrics()

    assert share == pytest.approx(0.30, abs=0.03)
    assert metrics[names.METRIC_LEASE_GPU_SECONDS] > 0.5
    assert metrics[names.METRIC_LEASE_MEMORY_BYTES] >= 300 * 2**20
    assert metrics[names.METRIC_LEASE_SHARED_BYTES] == 0


def test_two_containers_share_a_gpu_by_their_quotas_and_leave_nothing(node: NodeAgent) -> None:
    with (
        container(node, "small", sm=60, quota=35, limit=35) as small,
        container(node, "large", sm=60, quota=55, limit=55) as large,
    ):
        found = shares(node, small, large, seconds=4)

    assert found == [pytest.approx(0.35, abs=0.03), pytest.approx(0.55, abs=0.04)]
    until(lambda: not node.leases)
    until(lambda: not node.folders())


def test_a_changed_quota_limit_holds_at_once(node: NodeAgent) -> None:
    with container(node, "pod", sm=50, quota=20, limit=80) as lease:
        (before,) = shares(node, lease, seconds=2)
        pod = node.api.find("pods", "team", "pod")
        pod["metadata"]["annotations"][names.ANNOTATION_QUOTA_LIMIT] = "40"
        node.api.put("pods", pod)
        until(lambda: node.limits(node.leases["pod"]).quota_limit_percent == 40)

        (after,) = shares(node, lease, seconds=3)

    assert before > 0.7
    assert after == pytest.approx(0.4, abs=0.04)


def test_a_container_runs_on_while_plugin_and_token_daemon_are_killed(node: NodeAgent) -> None:
    with container(node, "pod", sm=50, quota=50, limit=50) as lease:
        for program in ("plugin", "daemons"):
            node.kill(program)
        (alone,) = shares(node, lease, seconds=2)
        node.start()
        node.kubelet.wait_offered(1600)

        (share,) = shares(node, lease, seconds=3)

        assert alone <= 0.53
        assert share == pytest.approx(0.5, abs=0.04)
        assert {each.lease_id for each in node.leases.values()} == {lease}
