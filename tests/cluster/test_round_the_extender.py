"""Pods that no extender placed, and pods that claim more than they have."""

import time
from collections.abc import Iterator

import pytest
import yaml
from tests.cluster.harness import Cluster
from tests.cluster.support import workloads
from tests.cluster.support.agreement import agreement, record_of, records
from tests.cluster.support.delivery import Meter
from tests.cluster.support.scene import (
    ApiStatusError,
    Scene,
    container_of,
    placement_of,
    uid_of,
    until,
)
from tests.cluster.support.workloads import Ask, Object

from gshare import names
from gshare.annotations import PodPlacement, encode_placement

PLAIN_SCHEDULER = "plain-scheduler"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
V100_SMS = 80


@pytest.fixture(scope="module")
def plain_scheduler(cluster: Cluster) -> Iterator[str]:
    """Run a second kube-scheduler of the cluster's version, which knows of no extender."""
    own = cluster.control_plane
    config = own.pki / f"{PLAIN_SCHEDULER}.yaml"
    kubeconfig = str(own.pki / "kube-scheduler.kubeconfig")
    settings = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig},
        "leaderElection": {"leaderElect": False},
        "profiles": [{"schedulerName": PLAIN_SCHEDULER}],
    }
    config.write_text(yaml.safe_dump(settings))
    program = own.commands()["kube-scheduler"][0]
    command = [
        program,
        f"--config={config}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--secure-port=10269",
    ]
    process = cluster.machine.process(PLAIN_SCHEDULER, command, cluster.log_dir)
    process.start()
    yield PLAIN_SCHEDULER
    process.kill()


@pytest.fixture
def no_policies(cluster: Cluster, scene: Scene) -> Iterator[None]:
    """Take the admission policies out of force, as an administrator may, and put them back."""
    bindings = [
        each
        for each in cluster.api.items(POLICIES)
        if each["metadata"]["name"].startswith("gshare-")
    ]
    for each in bindings:
        cluster.api.delete(f"{POLICIES}/{each['metadata']['name']}")
    try:
        until(lambda: _admits_a_forged_placement(scene), "the policies are out of force")
        yield
    finally:
        for each in bindings:
            kept = {key: each["metadata"][key] for key in ("name", "labels")}
            cluster.api.post(POLICIES, {**each, "metadata": kept})
        until(lambda: not _admits_a_forged_placement(scene), "the policies are in force")


def test_a_pod_bound_by_hand_starts_nothing_and_says_why(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.pod("by-hand", Ask(spec={"nodeName": "node-1"})))

    note = scene.wait_event("by-hand", "Failed", "was not placed by gshare's extender")

    assert "delete it and have it scheduled by a scheduler that asks the extender" in note
    _has_nothing(cluster, scene, "by-hand")


def test_a_pod_of_another_scheduler_starts_nothing_and_says_why(
    cluster: Cluster, scene: Scene, plain_scheduler: str
) -> None:
    ask = Ask(spec={"schedulerName": plain_scheduler})
    scene.create(workloads.pod("other", ask), workloads.pod("neighbour", Ask()))

    scene.wait_event("other", "Failed", "was not placed by gshare's extender", timeout_s=40)

    _has_nothing(cluster, scene, "other")
    scene.wait_launching(["neighbour"])


def test_a_forged_placement_is_refused_at_creation(cluster: Cluster, scene: Scene) -> None:
    with pytest.raises(ApiStatusError, match="is written by gshare alone"):
        scene.create(_forged("forged", cluster, sm=100, quota=100))


def test_a_placement_cannot_be_changed_afterwards(scene: Scene) -> None:
    scene.create(workloads.pod("placed"))
    scene.wait_running(1)

    with pytest.raises(ApiStatusError, match="is written by gshare alone"):
        scene.annotate("placed", names.ANNOTATION_PLACEMENT, "{}")


@pytest.mark.usefixtures("no_policies")
def test_without_policies_a_forged_placement_gives_way_to_the_true_one(
    cluster: Cluster, scene: Scene
) -> None:
    scene.create(_forged("forged", cluster, sm=100, quota=100))
    (pod,) = scene.wait_running(1)

    limits = scene.sight("forged").limits

    placed = placement_of(pod)
    assert placed
    assert (placed.sm_percent, placed.quota_percent) == (12, 40)
    assert (limits.sm_percent, limits.quota_request_percent) == (12, 40)
    agreement(cluster)


@pytest.mark.usefixtures("no_policies")
def test_without_policies_a_forged_placement_bound_by_hand_starts_nothing(
    cluster: Cluster, scene: Scene
) -> None:
    scene.create(_forged("forged", cluster, sm=100, quota=100, nodeName="node-1"))

    scene.wait_event("forged", "Failed", "must equal the container's limits, 12 and 40")

    _has_no_lease(cluster, scene, "forged")


def test_the_environment_of_a_pod_changes_nothing(
    cluster: Cluster, scene: Scene, meter: Meter
) -> None:
    lies = {
        names.ENV_MPS_PERCENTAGE: "100",
        names.ENV_MPS_MEMORY_LIMIT: "0=16384M",
        names.ENV_VISIBLE_DEVICES: "0,1",
        names.ENV_LEASE_DIR: "/tmp",  # noqa: S108 (a lie)
        names.ENV_PRELOAD: "/lib/x86_64-linux-gnu/libm.so.6",
    }
    ask = Ask(env=lies, arguments=(V100_SMS, 50), annotations={"quota_limit": "40"})
    scene.create(workloads.pod("liar", ask))
    (pod,) = scene.wait_running(1)
    scene.wait_launching(["liar"])

    env, share = scene.sight("liar").env, meter.shares(4)[record_of(cluster, pod).lease_id]

    placed = placement_of(pod)
    assert placed
    assert env[names.ENV_MPS_PERCENTAGE] == "12"
    assert env[names.ENV_VISIBLE_DEVICES] == placed.gpu_uuid
    assert env[names.ENV_LEASE_DIR] == names.CONTAINER_LEASE_DIR
    assert env[names.ENV_MPS_MEMORY_LIMIT] != lies[names.ENV_MPS_MEMORY_LIMIT]
    assert share.sms <= V100_SMS * 12 // 100 + 0.01
    # A limit allows 0.3 of a window more, once: here 50 ms in 4 s, or 1.2 points.
    assert 37 <= share.time_percent <= 42


def _forged(name: str, cluster: Cluster, *, sm: int, quota: int, **spec: object) -> Object:
    """Return a pod that asks for 12 by 40 and says that it was given more."""
    gpu = next(iter(_gpus_of(cluster)))
    lie = encode_placement(PodPlacement(gpu, sm, quota, 8 << 30))
    return workloads.pod(name, Ask(annotations={"placement": lie}, spec=spec))


def _gpus_of(cluster: Cluster) -> list[str]:
    return [entry.name for entry in (cluster.nodes[0].gshare_dir / "gpus").iterdir()]


def _admits_a_forged_placement(scene: Scene) -> bool:
    pod = workloads.pod("dry", Ask(annotations={"placement": "{}"}))
    try:
        scene.api.post(scene.path("Pod") + "?dryRun=All", pod)
    except ApiStatusError:
        return False
    return True


def _has_nothing(cluster: Cluster, scene: Scene, name: str) -> None:
    """Check that a pod runs nothing, holds nothing, and disturbs nobody's account."""
    time.sleep(1)  # the kubelet tries again meanwhile
    _has_no_lease(cluster, scene, name)
    agreement(cluster)


def _has_no_lease(cluster: Cluster, scene: Scene, name: str) -> None:
    pod = scene.pod(name)
    assert pod["status"]["phase"] == "Pending"
    with pytest.raises(LookupError):
        container_of(pod)
    assert uid_of(pod) not in {record.pod_uid for node in cluster.nodes for record in records(node)}
