"""What a cluster's nodes and pods say of its GPUs."""

import msgspec
import pytest
from tests.support.cluster_objects import GIB, gpu, node, pod

from gshare import names
from gshare.annotations import Standing, Terms, encode_in_force
from gshare.modes import RECT, SLICED
from gshare.runtime.kube.objects import Node, Pod
from gshare_cli.cluster_ps import rows
from gshare_cli.cluster_state import cluster_view, pod_view


def view(nodes, pods):
    return cluster_view(
        [msgspec.convert(each, Node) for each in nodes],
        [msgspec.convert(each, Pod) for each in pods],
    )


def seen(body):
    return pod_view(msgspec.convert(body, Pod))


def test_pods_lie_on_the_gpu_that_their_placement_names():
    found = view(
        [node("n1", gpu("A"), gpu("B"))],
        [pod("x", on="n1", gpu="A"), pod("y", on="n1", gpu="B"), pod("z", on="n1", gpu="B")],
    )

    held = [gpu_.snapshot.layout.keys for gpu_ in found.nodes[0].gpus]
    assert [sorted(keys) for keys in held] == [["uid-of-x"], ["uid-of-y", "uid-of-z"]]


def test_pods_that_are_over_hold_nothing():
    over = pod("x", on="n1", gpu="A", status={"phase": "Failed"})

    found = view([node("n1", gpu("A"))], [over])

    assert found.pods == ()
    assert found.nodes[0].gpus[0].snapshot.layout.keys == ()


def test_a_terminating_pod_still_holds_its_rectangle():
    leaving = pod("x", on="n1", gpu="A")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    found = view([node("n1", gpu("A"))], [leaving])

    assert found.pods[0].state == "Terminating"
    assert found.nodes[0].gpus[0].snapshot.layout.keys == ("uid-of-x",)


def test_the_papers_eight_lie_on_one_gpu_in_any_order_of_names():
    sizes = [(50, 60)] * 2 + [(12, 40)] * 4 + [(24, 40)] * 2
    pods = [
        pod(f"{index * 5 % 8}", sm, quota, on="n1", gpu="A")
        for index, (sm, quota) in enumerate(sizes)
    ]

    found = view([node("n1", gpu("A"))], pods)

    assert len(found.nodes[0].gpus[0].snapshot.layout.keys) == 8
    assert not found.nodes[0].gpus[0].conflict


def test_what_was_placed_in_slices_is_shown_in_slices():
    pods = [
        pod(name, 50, quota, on="n1", gpu="A", mode="sliced")
        for name, quota in zip("abc", (60, 60, 80), strict=True)
    ]

    found = view([node("n1", gpu("A"))], pods)

    assert found.mode is SLICED
    assert not found.nodes[0].gpus[0].conflict
    assert len(found.nodes[0].gpus[0].snapshot.layout.pieces) > 3


def test_the_mode_is_that_in_which_the_youngest_pod_was_placed():
    """What stands on the GPUs decides nothing: it may hold in either."""
    old = pod("old", on="n1", gpu="A", mode="sliced", created="2026-11-24T08:00:00Z")
    new = pod("new", on="n1", gpu="A", mode="rect", created="2026-11-24T09:00:00Z")
    silent = pod("silent", on="n1", gpu="A", created="2026-11-24T10:00:00Z")

    assert view([node("n1", gpu("A"))], [old]).mode is SLICED
    assert view([node("n1", gpu("A"))], [old, new, silent]).mode is RECT
    assert view([node("n1", gpu("A"))], [silent]).mode is RECT


@pytest.mark.parametrize("text", ["{", "[]", '{"mode":"round"}', '{"mode":7}'])
def test_a_mode_that_is_none_counts_as_none(text):
    odd = pod("odd", on="n1", annotations={names.ANNOTATION_PLACEMENT: text})

    assert view([node("n1", gpu("A"))], [odd]).mode is RECT


def test_placements_that_conflict_are_shown_as_far_as_they_go_together():
    pods = [pod(name, 100, 60, on="n1", gpu="A") for name in ("a", "b")]

    found = view([node("n1", gpu("A"))], [*pods, pod("c", 100, 40, on="n1", gpu="A")])

    assert found.nodes[0].gpus[0].conflict.startswith("no layout holds its 3 pods")
    assert found.nodes[0].gpus[0].snapshot.layout.keys == ("uid-of-a", "uid-of-c")


def test_an_inventory_that_cannot_be_read_spoils_no_other_node():
    wrong = node("n1", annotations={names.ANNOTATION_GPUS: '[{"uuid": 7}]'})

    found = view([wrong, node("n2", gpu("A"))], [])

    assert found.nodes[0].trouble.startswith(f"annotation {names.ANNOTATION_GPUS} uuid 7: ")
    assert len(found.nodes[1].gpus) == 1


def test_a_placement_that_cannot_be_read_is_the_pods_trouble():
    found = seen(pod(on="n1", annotations={names.ANNOTATION_PLACEMENT: "here"}))

    assert found
    assert found.placed is None
    assert found.trouble.startswith(f"annotation {names.ANNOTATION_PLACEMENT} is not JSON")


def test_a_placement_of_another_size_than_asked_is_the_pods_trouble():
    wrong = pod(on="n1", gpu="A")
    wrong["spec"]["containers"][0]["resources"]["limits"][names.RESOURCE_SM] = "90"

    found = seen(wrong)

    assert found
    assert "is not what it asks" in found.trouble


def test_a_request_that_is_wrong_is_the_pods_trouble():
    found = seen(pod(limits={names.RESOURCE_SM: "12"}))

    assert found
    assert names.RESOURCE_QUOTA in found.trouble


def test_a_pod_without_gpu_is_not_shown():
    assert seen(pod(limits={"cpu": "1"})) is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, "Pending", id="pending"),
        pytest.param({"on": "n1"}, "Running", id="running"),
        pytest.param(
            {
                "on": "n1",
                "status": {"containerStatuses": [{"name": "main", "ready": False}]},
            },
            "Starting",
            id="not ready",
        ),
        pytest.param(
            {
                "on": "n1",
                "status": {
                    "containerStatuses": [
                        {"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
                    ]
                },
            },
            "CrashLoopBackOff",
            id="crashing",
        ),
        pytest.param(
            {
                "on": "n1",
                "status": {
                    "phase": "Pending",
                    "containerStatuses": [
                        {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
                    ],
                },
            },
            "ContainerCreating",
            id="being made",
        ),
    ],
)
def test_the_state_is_kubectls_word(more, expected):
    found = seen(pod(**more))

    assert found
    assert found.state == expected


@pytest.mark.parametrize(
    ("labels", "owner", "expected"),
    [
        ({names.LABEL_FUNCTION: "resnet"}, "web-abc", "resnet"),
        ({"pod-template-hash": "abc"}, "web-abc", "web"),
        ({}, "job", "job"),
        ({}, None, "web-0"),
    ],
    ids=["by label", "by Deployment", "by another owner", "by name"],
)
def test_pods_of_one_workload_are_one_function(labels, owner, expected):
    body = pod(labels=labels)
    if owner:
        reference = {"kind": "X", "name": owner, "uid": "u", "controller": True}
        body["metadata"]["ownerReferences"] = [reference]

    found = seen(body)

    assert found
    assert found.function == expected


def changed(limit=90, refused=None):
    """Return a node on which the pod `x` has other terms than it was placed with."""
    said = {"uid-of-x": Standing(Terms(30, limit, 2 * GIB), refused or {})}
    return node("n1", gpu("A"), annotations={names.ANNOTATION_IN_FORCE: encode_in_force(said)})


def test_a_pod_is_shown_on_the_terms_that_are_in_force():
    wishes = {names.ANNOTATION_QUOTA_REQUEST: "60", names.ANNOTATION_QUOTA_LIMIT: "70"}

    found = view([changed()], [pod("x", on="n1", gpu="A", annotations=wishes)])

    [shown] = rows(found, {})
    assert (shown.quota_request_percent, shown.quota_limit_percent) == (30, 90)
    assert shown.memory_limit_bytes == 2 * GIB


def test_a_refused_annotation_is_named():
    refused = {names.ANNOTATION_QUOTA_REQUEST: "60", names.ANNOTATION_GPU_MEM: None}

    found = view([changed(refused=refused)], [pod("x", on="n1", gpu="A")])

    [shown] = rows(found, {})
    assert "its node refused gshare.io/quota-request: '60'" in shown.trouble
    assert "gshare.io/gpu-mem: that it was removed" in shown.trouble


def test_a_running_pod_whose_annotation_is_nonsense_holds_its_rectangle():
    wrong = {names.ANNOTATION_QUOTA_LIMIT: "much"}

    [shown] = view([changed(100, wrong)], [pod("x", on="n1", gpu="A", annotations=wrong)]).pods

    assert shown.placed is not None
    assert (shown.trouble, shown.quota_limit_percent) == ("", 100)
