"""The scheduler of our own, as the manifests have it: two replicas, each with its extender.

It stands beside the default scheduler of the cluster, which is asked nothing here.
"""

from collections.abc import Iterator

import pytest
from tests.cluster import images
from tests.cluster.harness import Cluster, wait
from tests.cluster.harness.settings import REPOSITORY
from tests.cluster.support.scene import Scene, placement_of
from tests.cluster.support.workloads import Ask, deployment

from gshare import names

FOLDER = str(REPOSITORY / "manifests" / "second-scheduler")
PODS = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
SELECTED = f"{PODS}?labelSelector=app.kubernetes.io%2Fname%3D{names.SCHEDULER}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{names.NAMESPACE}/leases/{names.SCHEDULER}"
OURS = Ask(spec={"schedulerName": names.SCHEDULER})
PATIENCE_S = 120


@pytest.fixture(scope="module")
def second(cluster: Cluster) -> Iterator[Cluster]:
    """Return the cluster with the second scheduler ready, which it loses again."""
    for archive in images.build(["extender", images.SCHEDULER]).values():
        cluster.import_image(archive)
    cluster.kubectl("apply", "--server-side", "--kustomize", FOLDER)
    try:
        _wait_ready(cluster)
        yield cluster
    finally:
        cluster.kubectl("delete", "--kustomize", FOLDER, "--ignore-not-found")
        wait(lambda: not cluster.api.items(SELECTED), PATIENCE_S, "the second scheduler is gone")


def _wait_ready(cluster: Cluster) -> None:
    words = ("rollout", "status", f"deployment/{names.SCHEDULER}", f"--namespace={names.NAMESPACE}")
    cluster.kubectl(*words, f"--timeout={PATIENCE_S}s", timeout_s=PATIENCE_S + 10)


def _leader(cluster: Cluster) -> str:
    """Return the pod that holds the lease."""
    holder: str = cluster.api.get(LEASE)["spec"]["holderIdentity"]
    return holder.split("_", maxsplit=1)[0]


def test_pods_that_name_it_get_a_place(second: Cluster, scene: Scene):
    del second
    scene.create(deployment("ours", OURS, replicas=3))

    placements = [placement_of(pod) for pod in scene.wait_running(3)]

    assert len({placed.gpu_uuid for placed in placements if placed is not None}) == 1
    assert all(placed is not None for placed in placements)


def test_its_other_replica_takes_over(second: Cluster, scene: Scene):
    """A leader that is gone without a word is followed when its lease has run out.

    Its process may live a moment longer than its pod, and place more pods meanwhile.
    """
    scene.create(deployment("before", OURS))
    scene.wait_running(1)
    led = _leader(second)

    second.api.delete(f"{PODS}/{led}?gracePeriodSeconds=0")
    wait(lambda: _leader(second) != led, PATIENCE_S, "the other replica leads")
    scene.create(deployment("after", OURS))

    scene.wait_running(2)
