"""A running pod's quota and memory follow its annotations, on a real cluster."""

import pytest
from tests.cluster.harness import Cluster
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import Record, agreement, record_of
from tests.cluster.support.delivery import Meter
from tests.cluster.support.scene import Scene, container_of, until
from tests.cluster.support.workloads import Ask

from gshare.terms import LIMIT, MEMORY, REQUEST

GPUS = 4
MEASURED_S = 4.0
CLOSE_POINTS = 3.0
"""How far what is delivered may be from what is promised: the nodes share a machine with us."""


def _calm(quota: int) -> Ask:
    """Return all SMs for `quota` percent of the time, and little memory."""
    return Ask(100, quota, programs.CALM, annotations={"gpu_mem": "1Gi"})


def _annotate(scene: Scene, pod: str, annotations: dict[str, str | None]) -> None:
    change = {"metadata": {"annotations": annotations}}
    scene.api.patch(scene.path("Pod", pod), change)


def _record(cluster: Cluster, scene: Scene, pod: str) -> Record:
    return record_of(cluster, scene.pod(pod))


def _wait_request(cluster: Cluster, scene: Scene, pod: str, percent: int) -> None:
    until(lambda: _record(cluster, scene, pod).held.quota == percent, f"{pod} has {percent} %")


def test_a_running_pod_gets_what_it_asks_now_and_its_neighbour_what_it_had(
    cluster: Cluster, scene: Scene, meter: Meter
) -> None:
    ask = Ask(50, 40, annotations={"quota_limit": "40", "gpu_mem": "1Gi"})
    scene.create(workloads.pod("changes", ask), workloads.pod("stays", ask))
    scene.wait_running(2)
    scene.wait_launching(["changes", "stays"])
    leases = {pod: _record(cluster, scene, pod).lease_id for pod in ("changes", "stays")}
    starts = container_of(scene.pod("changes"))

    _annotate(scene, "changes", {REQUEST: "20", LIMIT: "20", MEMORY: "2Gi"})
    _wait_request(cluster, scene, "changes", 20)
    shares = meter.shares(MEASURED_S)

    delivered = [round(shares[leases[pod]].time_percent, 1) for pod in ("changes", "stays")]
    assert delivered == [
        pytest.approx(20, abs=CLOSE_POINTS),
        pytest.approx(40, abs=CLOSE_POINTS),
    ]
    record = _record(cluster, scene, "changes")
    assert (record.lease_id, record.quota_limit) == (leases["changes"], 20)
    assert record.memory_bytes == 2 << 30
    assert container_of(scene.pod("changes")) == starts
    agreement(cluster)


def test_what_a_pod_gives_up_is_given_to_one_that_waits_and_not_promised_again(
    cluster: Cluster, scene: Scene
) -> None:
    """All GPUs of both nodes are full; one pod asks for less, then for what it had."""
    scene.create(*(workloads.pod(f"full-{each}", _calm(70)) for each in range(GPUS)))
    scene.wait_running(GPUS)
    scene.create(*(workloads.pod(f"rest-{each}", _calm(30)) for each in range(GPUS)))
    scene.wait_running(2 * GPUS)
    scene.create(workloads.pod("waits", _calm(25)))
    scene.wait_event("waits", "FailedScheduling", "GPU rectangles are full")

    _annotate(scene, "full-0", {REQUEST: "40"})
    scene.wait_running(2 * GPUS + 1)
    agreement(cluster)
    _annotate(scene, "full-0", {REQUEST: None})

    note = scene.wait_event("full-0", "GpuTermsRefused", REQUEST)
    assert "its removal: the GPU has no room for it" in note
    assert _record(cluster, scene, "full-0").held.quota == 40
    agreement(cluster)
