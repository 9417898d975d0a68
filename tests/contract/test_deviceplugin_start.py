"""A container's start: it gets the limits of its own placement, or waits, or says why not."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tests.support import gpu_pods
from tests.support.fake_api_server import wait_until
from tests.support.node_agent import NodeAgent, agent

from gshare import names
from gshare_deviceplugin import cdi, mps_paths


@pytest.fixture(scope="module")
def shared() -> Iterator[NodeAgent]:
    with agent() as made:
        yield made


@pytest.fixture
def node(shared) -> Iterator[NodeAgent]:
    """Return the node without any pod."""
    yield shared
    shared.clear()


def placed(node, name="resnet-0", sm=12, quota=40, **more):
    """Have a pod placed on the node and admitted by the kubelet."""
    node.api.put("pods", gpu_pods.pod(name, sm=sm, quota=quota, gpu=node.gpus[0], **more))
    return node.kubelet.admit("team", name, sm, quota)


def leave(node, container):
    """Delete a pod whose container has ended."""
    node.api.drop("pods", container.pod, "team")
    node.kubelet.remove(container)


def refusal(node, container):
    with pytest.raises(grpc.RpcError) as raised:
        node.kubelet.start(container)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "\n" not in raised.value.details()
    return raised.value.details()


def test_a_container_gets_its_device_limits_and_pages(node) -> None:
    container = placed(node, annotations={names.ANNOTATION_QUOTA_LIMIT: "70"})

    node.kubelet.start(container)

    lease = node.leases["resnet-0"]
    limits = node.limits(lease)
    assert (limits.sm_percent, limits.quota_request_percent) == (12, 40)
    assert limits.quota_limit_percent == 70
    edits = node.edits(container.cdi[0])
    assert f"{names.ENV_MPS_PERCENTAGE}=12" in edits["env"]
    assert all((node.folder(lease) / page).exists() for page in ("grant", "counters", "token.sock"))


def test_a_pod_that_asks_for_a_shim_has_it_before_the_driver_and_no_preload(node) -> None:
    container = placed(node, annotations={names.ANNOTATION_HOOK: names.HOOK_SHIM})

    node.kubelet.start(container)

    mounts = node.edits(container.cdi[0])["mounts"]
    lead = {mount["containerPath"]: mount["hostPath"] for mount in mounts}
    assert cdi.CONTAINER_PRELOAD not in lead
    assert lead["/usr/local/gshare/driver/libcuda.so.1.driver"].endswith("/simgpu/libcuda.so.1")
    for name in ("libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1"):
        assert str(node.state / "shims") in lead[f"/usr/local/gshare/simgpu/{name}"]


def test_forty_equal_pods_at_once_get_a_lease_each(node) -> None:
    containers = [placed(node, f"small-{number}", 5, 40, memory=2**28) for number in range(40)]

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(node.kubelet.start, containers))

    assert len({each.lease_id for each in node.leases.values()}) == 40
    for container in containers:
        lease = node.leases[container.pod]
        mounts = node.edits(container.cdi[0])["mounts"]
        assert str(node.folder(lease)) in {mount["hostPath"] for mount in mounts}


def test_pods_of_different_shapes_never_get_anothers_limits(node) -> None:
    shapes = {f"pod-{number}": (2 + number, 20 + number) for number in range(20)}
    containers = [placed(node, name, *shape, memory=2**28) for name, shape in shapes.items()]

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(node.kubelet.start, containers))

    for name, shape in shapes.items():
        limits = node.limits(node.leases[name])
        assert (limits.sm_percent, limits.quota_request_percent) == shape


def test_a_container_that_starts_again_gets_a_new_lease_in_the_same_place(node) -> None:
    others = placed(node, "other", 50, 60)
    container = placed(node)
    for each in (others, container):
        node.kubelet.start(each)
    first = node.leases["resnet-0"]
    before = node.limits(first)

    node.kubelet.start(container)

    second = node.leases["resnet-0"]
    assert second.lease_id != first.lease_id
    assert node.limits(second).slices == before.slices
    assert node.folders() == {second.lease_id, node.leases["other"].lease_id}


def test_a_pod_that_went_round_the_extender_starts_nothing_and_harms_nobody(node) -> None:
    pod = gpu_pods.pod("wild")
    del pod["metadata"]["annotations"]
    node.api.put("pods", pod)
    wild = node.kubelet.admit("team", "wild", 12, 40)
    other = placed(node)

    text = refusal(node, wild)

    node.kubelet.start(other)
    assert "team/wild" in text
    assert "was not placed by gshare's extender" in text
    assert set(node.leases) == {"resnet-0"}


def test_a_quota_without_sms_is_refused(node) -> None:
    pod = gpu_pods.pod("half", gpu=node.gpus[0])
    node.api.put("pods", pod)
    container = node.kubelet.admit("team", "half", 0, 40)

    assert names.RESOURCE_SM in refusal(node, container)


def test_a_gpu_that_a_pod_is_just_leaving_is_waited_for(node) -> None:
    first = placed(node, "first", 60, 60)
    node.kubelet.start(first)
    second = placed(node, "second", 60, 60)
    threading.Timer(1, leave, (node, first)).start()
    began_s = time.monotonic()

    node.kubelet.start(second)

    assert 0.9 < time.monotonic() - began_s < 3
    assert set(node.leases) == {"second"}


def test_a_gpu_that_stays_full_is_refused_in_time_for_the_kubelet(node) -> None:
    node.kubelet.start(placed(node, "first", 60, 60))
    second = placed(node, "second", 60, 60)
    began_s = time.monotonic()

    text = refusal(node, second)

    assert "has no layout for it beside 1 others" in text
    assert 9 < time.monotonic() - began_s < 13
    assert set(node.leases) == {"first"}


def test_a_deleted_pod_that_the_kubelet_still_runs_keeps_its_lease(node) -> None:
    container = placed(node)
    node.kubelet.start(container)
    node.api.drop("pods", "resnet-0", "team")
    time.sleep(1)
    assert set(node.leases) == {"resnet-0"}

    node.kubelet.remove(container)

    wait_until(lambda: not node.leases)
    wait_until(lambda: not node.folders())
    assert not list(node.cdi.glob("*.json"))


def test_a_pod_that_has_ended_holds_nothing_though_it_is_still_listed(node) -> None:
    container = placed(node)
    node.kubelet.start(container)
    pod = node.api.find("pods", "team", "resnet-0")

    node.api.put("pods", {**pod, "status": {"phase": "Succeeded"}})

    wait_until(lambda: not node.leases)


def test_devices_of_an_ended_pod_may_serve_another(node) -> None:
    first = placed(node, "first")
    node.kubelet.start(first)
    node.api.put("pods", {**gpu_pods.pod("first"), "status": {"phase": "Failed"}})
    second = placed(node, "second")
    second.devices = {name: list(ids) for name, ids in first.devices.items()}

    node.kubelet.start(second)

    assert set(node.leases) == {"second"}


def test_a_new_pod_of_the_same_name_gets_its_own_limits(node) -> None:
    first = placed(node, uid="aaaaaaaa-1")
    node.kubelet.start(first)
    leave(node, first)
    second = placed(node, uid="bbbbbbbb-2", sm=30)

    node.kubelet.start(second)

    wait_until(lambda: [each.pod_uid for each in node.leases.values()] == ["bbbbbbbb-2"])
    assert node.limits(node.leases["resnet-0"]).sm_percent == 30


def test_a_running_pod_may_change_its_quota_limit(node) -> None:
    node.kubelet.start(placed(node))
    lease = node.leases["resnet-0"]

    changed = gpu_pods.pod(gpu=node.gpus[0], annotations={names.ANNOTATION_QUOTA_LIMIT: "45"})
    node.api.put("pods", changed)

    wait_until(lambda: node.limits(lease).quota_limit_percent == 45)
    assert set(node.folders()) == {lease.lease_id}


def test_a_kubelet_that_is_asked_too_often_is_asked_again(node) -> None:
    container = placed(node)
    node.kubelet.refuses_lists = 2

    node.kubelet.start(container)

    assert set(node.leases) == {"resnet-0"}


def test_metrics_tell_leases_and_refusals(node) -> None:
    before = node.metrics()
    node.kubelet.start(placed(node))
    wild = gpu_pods.pod("wild")
    del wild["metadata"]["annotations"]
    node.api.put("pods", wild)
    refusal(node, node.kubelet.admit("team", "wild", 12, 40))

    after = node.metrics()

    assert after["gshare_gpu_leases"] == 1
    assert after[names.METRIC_LEASE_QUOTA_REQUEST] == pytest.approx(0.4)
    refused = "gshare_starts_refused_total"
    assert after[refused] == before.get(refused, 0) + 1
    assert after["gshare_starts_total"] == before["gshare_starts_total"] + 1
    assert node.is_ready()


def test_mps_learns_when_a_terminating_pod_is_killed(node) -> None:
    """An MPS client that is killed with work outstanding may hang its neighbours."""
    paths = mps_paths.MpsPaths(node.state, node.gpus[0])
    mps_paths.prepare(paths)
    answering = mps_paths.readiness(node.state)
    answering.show({paths.uuid})
    node.kubelet.start(placed(node, uid="dddddddd-4"))
    pod = node.api.find("pods", "team", "resnet-0")

    pod["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:30Z"
    node.api.put("pods", pod)

    wait_until(lambda: mps_paths.requests(paths) == {"dddddddd-4": 1795478430.0})
    answering.show(set())
