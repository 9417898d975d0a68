"""Why a pod is pending, or what it holds, in words."""

import msgspec
import pytest
from tests.support.cluster_objects import GIB, gpu, node, pod

from gshare import names
from gshare.annotations import Standing, Terms, encode_in_force, encode_resident
from gshare.models import ModelShare
from gshare.runtime.kube.objects import Event, Node, Pod
from gshare_cli.cluster_explain import explain
from gshare_cli.cluster_state import cluster_view


def explained(body, nodes=(), others=(), events=()):
    view = cluster_view(
        [msgspec.convert(each, Node) for each in nodes],
        [msgspec.convert(each, Pod) for each in (*others, body)],
    )
    said = [msgspec.convert(each, Event) for each in events]
    return explain(msgspec.convert(body, Pod), view, said)


def event(note, at, **more):
    return {"metadata": {"name": "e"}, "reason": "Because", "note": note, "eventTime": at, **more}


FULL = pod("full", 100, 90, on="full", gpu="F", memory=GIB)
HALF = pod("half", 100, 60, on="half", gpu="H", memory=GIB)


def test_the_nearest_node_comes_first():
    found = explained(
        pod(sm=100, quota=50),
        [node("full", gpu("F")), node("half", gpu("H"))],
        [FULL, HALF],
    )

    assert [line.split(":")[0] for line in found.lines] == ["half", "full"]
    assert "10 % of the time is missing" in found.lines[0]
    assert "40 % of the time is missing" in found.lines[1]


def test_one_line_a_node_names_its_nearest_gpu():
    far = pod("far", 100, 90, on="n1", gpu="A")
    near = pod("near", 100, 60, on="n1", gpu="B")

    found = explained(pod(sm=100, quota=50), [node("n1", gpu("A"), gpu("B"))], [far, near])

    (line,) = found.lines
    assert line.startswith("n1: GPU 1, V100 (simulated), the nearest of 2: 10 % of the time is")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"ready": "Unknown"}, "but the node is not ready", id="not ready"),
        pytest.param({"cordoned": True}, "but the node is cordoned", id="cordoned"),
    ],
)
def test_room_on_a_node_that_takes_no_pods_says_why(given, expected):
    found = explained(pod(), [node("n1", gpu("A"), **given)])

    assert found.lines[0].startswith(f"n1: GPU 0 has room, {expected}")


def test_a_node_without_device_plugin_says_so():
    found = explained(pod(), [node("n1", gpu("A"), status={"allocatable": {}})])

    assert found.lines[0].startswith("n1: its kubelet offers none of gshare's resources")


def test_a_node_without_units_says_so():
    few = {names.RESOURCE_SM: "11", names.RESOURCE_QUOTA: "100"}

    found = explained(pod(), [node("n1", gpu("A"), status={"allocatable": few})])

    assert found.lines[0].startswith("n1: its kubelet has too few of gshare's units left")


def test_a_gpu_whose_placements_conflict_says_so():
    both = [pod(name, 100, 60, on="n1", gpu="A") for name in ("a", "b")]

    found = explained(pod(), [node("n1", gpu("A"))], both)

    assert found.lines[0].startswith("n1: GPU 0: no layout holds its 2 pods")


def test_room_points_to_what_the_scheduler_says():
    found = explained(pod(), [node("n1", gpu("A"))])

    assert found.lines == ("n1: GPU 0 has room: what else keeps it away is below",)


def test_an_unhealthy_gpu_says_its_note():
    ill = gpu("A", is_healthy=False, note="XID 79")

    found = explained(pod(), [node("n1", ill)])

    assert found.lines == ("n1: GPU 0, V100 (simulated): the GPU is not healthy (XID 79)",)


def test_nodes_without_gpus_are_counted():
    found = explained(pod(), [node("n1"), node("n2")])

    assert found.lines == ("2 other nodes have no GPUs",)


def test_an_empty_cluster_says_so():
    assert explained(pod()).lines == ("the cluster has no nodes",)


def test_a_node_with_an_unreadable_inventory_says_so():
    found = explained(pod(), [node("n1", annotations={names.ANNOTATION_GPUS: "{}"})])

    assert found.lines[0].startswith(
        f"n1: its GPUs are unknown: annotation {names.ANNOTATION_GPUS}"
    )


def test_a_silent_scheduler_is_asked_for():
    found = explained(pod(scheduler="gshare-scheduler"))

    assert "does the scheduler 'gshare-scheduler' run?" in found.events[0]


def test_a_pod_that_holds_a_rectangle_says_which():
    found = explained(
        pod(on="n1", gpu="A", memory=2 * GIB, annotations={names.ANNOTATION_QUOTA_LIMIT: "80"}),
        [node("n1", gpu("A"))],
    )

    assert found.headline == "team/web-0 is Running on n1 and holds a rectangle"
    assert found.lines[:3] == (
        "GPU: 0, V100 (simulated), A",
        "rectangle: 12 % of the SMs for 40 % of the time, may borrow idle time up to 80 %",
        "memory: at most 2Gi",
    )


def test_a_pod_whose_gpu_is_gone_says_so():
    found = explained(pod(on="n1", gpu="B"), [node("n1", gpu("A"))])

    assert found.lines[0] == "GPU: B: it is no longer on the node"


def test_a_container_that_waits_says_why():
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": "no token daemon"}}
    status = {"containerStatuses": [{"name": "main", "state": waiting}]}

    found = explained(pod(on="n1", gpu="A", status=status), [node("n1", gpu("A"))])

    assert found.lines[-1] == "container main: CreateContainerConfigError no token daemon"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(pod(limits={"cpu": "1"}), "asks for no rectangle", id="no gpu"),
        pytest.param(pod(on="n1"), "without gshare's extender", id="went round"),
        pytest.param(pod(limits={names.RESOURCE_SM: "1"}), names.RESOURCE_QUOTA, id="wrong"),
        pytest.param(
            pod(status={"phase": "Failed", "reason": "Evicted"}),
            "is over: Failed (Evicted)",
            id="over",
        ),
    ],
)
def test_a_pod_out_of_the_ordinary_is_one_line(body, expected):
    found = explained(body, [node("n1", gpu("A"))])

    assert expected in found.headline
    assert found.lines == ()


def test_the_newest_events_come_first_and_count():
    found = explained(
        pod(),
        events=[
            event("old", "2026-01-01T00:00:00Z"),
            event(
                "new\nand long",
                "2026-01-01T00:00:00Z",
                series={"count": 7, "lastObservedTime": "2026-01-01T00:05:00Z"},
            ),
        ],
    )

    assert found.events == (
        "2026-01-01 00:05:00 Because: new and long (7 times)",
        "2026-01-01 00:00:00 Because: old",
    )


def test_without_a_view_of_the_gpus_the_rest_is_said():
    found = explain(msgspec.convert(pod(), Pod), "nodes is forbidden", [])

    assert found.lines == ("the GPUs are unknown: nodes is forbidden",)


def test_a_placed_pod_shows_only_what_went_wrong():
    found = explained(
        pod(on="n1", gpu="A"),
        [node("n1", gpu("A"))],
        events=[
            event("started", "2026-01-01T00:00:00Z", type="Normal"),
            event("no token daemon", "2026-01-01T00:00:00Z", type="Warning", deprecatedCount=3),
        ],
    )

    assert found.events == ("2026-01-01 00:00:00 Because: no token daemon (3 times)",)


def test_only_the_nearest_of_many_nodes_are_named():
    nodes = [node(f"n{index:02}", gpu(f"G{index}", is_healthy=False)) for index in range(25)]

    found = explained(pod(), nodes)

    assert len(found.lines) == 21
    assert found.lines[0].startswith("n00: ")
    assert found.lines[-1] == "5 further nodes with GPUs lack as much or more"


def test_a_pod_on_other_terms_says_those_in_force_and_what_was_refused():
    refused = {names.ANNOTATION_QUOTA_REQUEST: "60"}
    said = {"uid-of-web-0": Standing(Terms(30, 50, 2 * GIB), refused)}
    there = node("n1", gpu("A"), annotations={names.ANNOTATION_IN_FORCE: encode_in_force(said)})

    found = explained(pod(on="n1", gpu="A", annotations=refused), [there])

    assert found.lines[1:4] == (
        "rectangle: 12 % of the SMs for 30 % of the time, may borrow idle time up to 50 %",
        "memory: at most 2Gi",
        "its node refused gshare.io/quota-request: '60'; its events say why",
    )


BERT = ModelShare("bert", 5 * GIB, "team")
ASKS_BERT = {names.ANNOTATION_MODEL: "bert=5Gi", names.ANNOTATION_GPU_MEM: "2Gi"}


def test_a_pending_pod_is_told_what_its_weights_would_add():
    full = pod("full", on="n1", gpu="A", memory=10 * GIB)

    found = explained(pod(annotations=ASKS_BERT), [node("n1", gpu("A", store_bytes=GIB))], [full])

    assert found.headline.endswith("and 2Gi of memory and the model team/bert (5Gi of weights)")
    (line,) = found.lines
    assert line.endswith(
        ": 2Gi of memory are missing: 2Gi and 6Gi for the weights of team/bert asked, 6Gi free"
    )


def test_a_pending_pod_is_told_of_weights_that_are_there_for_others():
    full = pod("full", on="n1", gpu="A", memory=10 * GIB, model=BERT)

    found = explained(pod(annotations=ASKS_BERT), [node("n1", gpu("A", store_bytes=0))], [full])

    (line,) = found.lines
    assert line.endswith(
        "1Gi of memory are missing: "
        "2Gi (the weights of team/bert are there for others) asked, 1Gi free"
    )


def test_a_pending_pod_is_told_that_a_node_without_a_store_counts_weights_in_full():
    full = pod("full", on="n1", gpu="A", memory=10 * GIB)

    found = explained(pod(annotations=ASKS_BERT), [node("n1", gpu("A"))], [full])

    assert (
        "7Gi (5Gi of weights in it, as there is no model store) asked, 6Gi free" in found.lines[0]
    )


def test_a_placed_pod_says_with_whom_it_shares_its_weights():
    others = [pod(name, on="n1", gpu="A", model=BERT) for name in ("b", "c")]

    found = explained(
        pod(on="n1", gpu="A", model=BERT), [node("n1", gpu("A", store_bytes=0))], others
    )

    assert found.lines[2:4] == (
        "memory: at most 1Gi",
        "model: team/bert, 5Gi of weights, which count once on this GPU: shared with 2 other pods",
    )


def test_a_placed_pod_without_a_size_counts_with_what_the_store_keeps():
    kept = {names.ANNOTATION_RESIDENT: encode_resident({"A": {"team/bert": 3 * GIB}})}
    there = node("n1", gpu("A", store_bytes=0), annotations=kept)

    found = explained(pod(on="n1", gpu="A", model=ModelShare("bert")), [there])

    assert (
        "team/bert, 3Gi of weights, which count once on this GPU: shared with nobody"
        in (found.lines[3])
    )


def test_a_pod_placed_without_a_store_has_its_weights_in_its_memory():
    own = pod(on="n1", gpu="A", memory=6 * GIB, model=BERT, has_own_weights=True)

    found = explained(own, [node("n1", gpu("A"))])

    assert found.lines[3] == (
        "model: team/bert, 5Gi of weights in its memory, as there was no model store when it was "
        "placed"
    )
