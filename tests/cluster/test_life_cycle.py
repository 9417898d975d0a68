"""All that happens to pods in their lives: nothing of them is left anywhere afterwards."""

import time

from tests.cluster.harness import Cluster
from tests.cluster.harness.small_images import BUSYBOX_IMAGE
from tests.cluster.support import programs, workloads
from tests.cluster.support.agreement import agreement, cluster_view, ledger, record_of, records
from tests.cluster.support.delivery import Meter
from tests.cluster.support.scene import (
    Scene,
    is_over,
    name_of,
    node_of,
    uid_of,
    until,
)
from tests.cluster.support.workloads import Ask, Object

from gshare import names

CALM = Ask(30, 30, programs.CALM)


def test_a_rolling_update_leaves_only_the_new_pods(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.deployment("web", CALM, 3))
    old = {uid_of(pod) for pod in scene.wait_running(3)}

    change = {"metadata": {"annotations": {names.ANNOTATION_QUOTA_LIMIT: "60"}}}
    scene.api.patch(scene.path("Deployment", "web"), {"spec": {"template": change}})
    until(lambda: _is_rolled_out(scene, "web"), "the Deployment is rolled out")
    new = scene.wait_running(3)

    assert old.isdisjoint(map(uid_of, new))
    assert {record_of(cluster, pod).quota_limit for pod in new} == {60}
    agreement(cluster)


def test_scaling_up_and_down_gives_every_rectangle_back(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.deployment("web", CALM, 2))
    scene.wait_running(2)
    for replicas in (6, 1, 4, 0):
        scene.scale("web", replicas)
        scene.wait_running(replicas) if replicas else scene.wait_gone()

    agreement(cluster)

    assert ledger(cluster) == {}
    assert [record for node in cluster.nodes for record in records(node)] == []


def test_an_ending_pod_keeps_its_rectangle_to_the_last(cluster: Cluster, scene: Scene) -> None:
    deaf = programs.CALM.replace("os._exit(0)", "None")
    spec = {"terminationGracePeriodSeconds": 4}
    scene.create(workloads.pod("slow", Ask(100, 100, deaf, spec=spec)))
    (pod,) = scene.wait_running(1)
    scene.wait_launching(["slow"])

    scene.delete("Pod", "slow")
    time.sleep(2)
    during = ledger(cluster)
    scene.wait_gone("slow", timeout_s=15)

    assert uid_of(pod) in during
    agreement(cluster)
    assert uid_of(pod) not in ledger(cluster)


def test_a_container_killed_for_memory_gets_a_new_lease(cluster: Cluster, scene: Scene) -> None:
    limits = {names.RESOURCE_SM: 12, names.RESOURCE_QUOTA: 40, "memory": "96Mi"}
    ask = Ask(program=programs.GREEDY, container={"resources": {"limits": limits}})
    scene.create(workloads.pod("greedy", ask))

    def has_started_again() -> Object | None:
        pod = scene.pod("greedy")
        last = pod["status"].get("containerStatuses", [{}])[0].get("lastState", {})
        return pod if last.get("terminated", {}).get("reason") == "OOMKilled" else None

    pod = until(has_started_again, "the container is killed for memory and started again")
    assert pod
    assert record_of(cluster, pod).lease_id >= f"{uid_of(pod)[:8]}-2"
    agreement(cluster)


def test_a_crash_loop_keeps_the_rectangle_and_one_lease(
    cluster: Cluster, scene: Scene, meter: Meter
) -> None:
    scene.create(workloads.pod("failing", Ask(program=programs.FAILING)))

    def waits() -> bool:
        (status,) = scene.pod("failing")["status"].get("containerStatuses", [{}])
        return status.get("restartCount") == 1 and "terminated" in status["state"]

    until(waits, "the pod has failed twice and is held back for 10 s", poll_s=0.05)
    uid = uid_of(scene.pod("failing"))

    agreement(cluster)
    assert uid in ledger(cluster)
    used = [use for lease, use in meter.read().items() if lease.startswith(uid[:8])]
    assert len(used) == 2
    assert all(use.launches == 1 and use.processes == 0 for use in used), used


def test_init_containers_and_side_cars_get_no_gpu(cluster: Cluster, scene: Scene) -> None:
    look = "ls /run/gshare /usr/local/gshare /etc/ld.so.preload; env | grep -E 'CUDA|GSHARE'"
    plain = {"image": BUSYBOX_IMAGE, "imagePullPolicy": "Never"}
    stay = f"{look}; exec sleep 3600"
    ask = Ask(
        program=programs.CALM,
        spec={
            "initContainers": [
                {"name": "first", **plain, "command": ["sh", "-c", f"{look}; true"]},
                {"name": "proxy", **plain, "command": ["sh", "-c", stay],
                 "restartPolicy": "Always"},
            ],
            "containers": [
                workloads.gpu_container(Ask(program=programs.CALM)),
                {"name": "logger", **plain, "command": ["sh", "-c", stay]},
            ],
        },
    )  # fmt: skip
    scene.create(workloads.pod("crowd", ask))
    scene.wait_running(1)
    scene.wait_launching(["crowd"])

    for name in ("first", "proxy", "logger"):
        said = scene.api.text(scene.path("Pod", "crowd", f"log?container={name}"))
        assert "CUDA" not in said
        assert "GSHARE" not in said
        assert said.count("No such file") == 3, said
    agreement(cluster)


def test_a_finished_pod_gives_its_rectangle_back(cluster: Cluster, scene: Scene) -> None:
    once = Ask(program=programs.FAILING, spec={"restartPolicy": "Never"})
    scene.create(workloads.pod("once", once))

    until(lambda: is_over(scene.pod("once")), "the pod has ended")

    agreement(cluster)
    assert ledger(cluster) == {}


def test_a_drained_node_is_empty_and_its_pods_run_elsewhere(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.deployment("web", CALM, 3))
    drained = node_of(scene.wait_running(3)[0])

    try:
        cluster.kubectl("drain", drained, "--ignore-daemonsets", "--timeout=60s")
        pods = scene.wait_running(3)
        assert drained not in map(node_of, pods)
        agreement(cluster)
        assert records(cluster.node(drained)) == []
    finally:
        cluster.kubectl("uncordon", drained)


def test_an_evicted_pod_leaves_nothing(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.deployment("web", CALM, 2))
    victim = name_of(scene.wait_running(2)[0])

    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": victim}}
    scene.api.post(scene.path("Pod", victim, "eviction"), eviction)
    scene.wait_gone(victim)

    assert victim not in map(name_of, scene.wait_running(2))
    agreement(cluster)


def test_a_pod_deleted_by_force_ends_when_its_processes_do(cluster: Cluster, scene: Scene) -> None:
    scene.create(workloads.pod("forced", Ask(40, 40)))
    scene.wait_running(1)
    scene.wait_launching(["forced"])

    scene.delete("Pod", "forced", grace_s=0)

    scene.wait_gone("forced")
    agreement(cluster)


def test_the_ledger_reports_no_problem(cluster: Cluster) -> None:
    assert cluster_view(cluster).get("problems", []) == []


def _is_rolled_out(scene: Scene, name: str) -> bool:
    found = scene.api.get(scene.path("Deployment", name))
    wanted, status = found["spec"]["replicas"], found["status"]
    return bool(
        status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedReplicas") == wanted
        and status.get("replicas") == wanted
        and status.get("availableReplicas") == wanted
    )
