"""A running pod's terms follow its annotations: in force at once, or refused with one event."""

import time
from collections.abc import Iterator

import pytest
from tests.support import gpu_pods
from tests.support.fake_api_server import wait_until
from tests.support.fake_client import FakeClient
from tests.support.gpu_pods import GIB
from tests.support.node_agent import NODE, NodeAgent, agent

from gshare import names
from gshare.annotations import Standing, Terms, decode_in_force
from gshare.runtime import tokend
from gshare.terms import LIMIT, MEMORY, REQUEST
from gshare_deviceplugin.lease import Lease

SOON_S = 2.0


@pytest.fixture(scope="module")
def shared() -> Iterator[NodeAgent]:
    with agent() as made:
        yield made


@pytest.fixture
def node(shared) -> Iterator[NodeAgent]:
    """Return the node without any pod or event."""
    yield shared
    shared.clear()


def running(node, name="resnet-0", sm=12, quota=40, **more) -> Lease:
    """Return the lease of a pod that runs on the node."""
    node.api.put("pods", gpu_pods.pod(name, sm=sm, quota=quota, gpu=node.gpus[0], **more))
    node.kubelet.start(node.kubelet.admit("team", name, sm, quota))
    return node.leases[name]


def ask(node, name="resnet-0", **wishes) -> None:
    """Write annotations of a pod: None removes one."""
    pod = node.api.find("pods", "team", name)
    keys = {"request": REQUEST, "limit": LIMIT, "memory": MEMORY}
    annotations = dict(pod["metadata"]["annotations"])
    for word, text in wishes.items():
        annotations.pop(keys[word], None)
        annotations |= {} if text is None else {keys[word]: text}
    node.api.put("pods", {**pod, "metadata": {**pod["metadata"], "annotations": annotations}})


def in_force(node, lease) -> tuple[int, int, int]:
    limits = node.limits(lease)
    request, limit = limits.quota_request_percent, limits.quota_limit_percent
    return request, limit, limits.memory_limit_bytes


def by_daemon(node, lease) -> tuple[int, int]:
    stats = tokend.Control(node.state / "gpus" / lease.gpu_uuid).stats().lease(lease.lease_id)
    return stats.quota_request_percent, stats.quota_limit_percent


def annotations_of_the_node(node) -> dict[str, str]:
    annotations: dict[str, str] = node.api.find("nodes", "", NODE)["metadata"]["annotations"]
    return annotations


def standings(node) -> dict[str, Standing]:
    return decode_in_force(annotations_of_the_node(node).get(names.ANNOTATION_IN_FORCE, "{}"))


def notes(node) -> list[str]:
    return [each["note"] for each in node.api.select("events", None, {})]


def test_all_three_terms_come_into_force_without_a_restart(node) -> None:
    lease = running(node)
    counters = (node.folder(lease) / names.FILE_COUNTERS).stat().st_ino

    ask(node, request="30", limit="60", memory="2Gi")

    wait_until(lambda: in_force(node, lease) == (30, 60, 2 * GIB), SOON_S)
    wait_until(lambda: by_daemon(node, lease) == (30, 60), SOON_S)
    wait_until(lambda: standings(node) == {lease.pod_uid: Standing(Terms(30, 60, 2 * GIB))})
    assert node.folders() == {lease.lease_id}
    assert (node.folder(lease) / names.FILE_COUNTERS).stat().st_ino == counters
    assert notes(node) == []


def test_an_annotation_that_is_removed_gives_back_what_was_placed(node) -> None:
    lease = running(node)
    ask(node, request="60", limit="70", memory="3Gi")
    wait_until(lambda: in_force(node, lease) == (60, 70, 3 * GIB), SOON_S)

    ask(node, request=None, limit=None, memory=None)

    wait_until(lambda: in_force(node, lease) == (40, 100, GIB), SOON_S)
    wait_until(lambda: names.ANNOTATION_IN_FORCE not in annotations_of_the_node(node))


def test_others_keep_their_places_when_one_asks_for_more_or_less(node) -> None:
    other, lease = running(node, "other", 60, 50), running(node)
    before = node.limits(other)

    ask(node, request="70")
    wait_until(lambda: in_force(node, lease)[0] == 70, SOON_S)
    ask(node, request="10")
    wait_until(lambda: in_force(node, lease)[0] == 10, SOON_S)

    assert node.limits(other) == before


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        pytest.param({"request": "60"}, f"[{REQUEST}]: '60': the GPU has no room", id="no room"),
        pytest.param({"request": "more"}, f"[{REQUEST}]: 'more': must be a", id="no number"),
        pytest.param({"limit": "39"}, f"[{LIMIT}]: '39': must be at least", id="limit too low"),
        pytest.param({"memory": "14Gi"}, f"[{MEMORY}]: '14Gi': the GPU has 12Gi", id="no memory"),
        pytest.param({"memory": "-1"}, f"[{MEMORY}]: '-1': must be", id="less than no memory"),
    ],
)
def test_what_cannot_be_is_refused_with_one_event_and_changes_nothing(node, wishes, says) -> None:
    running(node, "other", 60, 50, memory=4 * GIB)
    lease = running(node, "asks", 50, 40)
    before = node.limits(lease)

    ask(node, "asks", **wishes)

    wait_until(lambda: notes(node))
    for limit in (60, 61, 62):  # what others ask does not have it judged, or told, again
        ask(node, "other", limit=str(limit))
        time.sleep(0.1)
    [note] = notes(node)
    assert says in note
    assert note.endswith("stays in force")
    assert node.limits(lease) == before
    wait_until(lambda: standings(node)[lease.pod_uid].refused == node.leases["asks"].refused)


def test_a_refused_raise_stays_refused_when_room_comes_free(node) -> None:
    """That room is for new pods: the extender counts with it. Written anew, it is judged anew."""
    running(node, "other", 60, 60)
    lease = running(node, "asks", 60, 40)
    ask(node, "asks", request="50")
    wait_until(lambda: notes(node))
    ask(node, "other", request="40")
    wait_until(lambda: in_force(node, node.leases["other"])[0] == 40, SOON_S)
    time.sleep(0.2)
    assert in_force(node, lease)[0] == 40

    ask(node, "asks", request="60")

    wait_until(lambda: in_force(node, lease)[0] == 60, SOON_S)
    assert len(notes(node)) == 1


def test_memory_that_the_pod_holds_is_not_taken_away(node) -> None:
    lease = running(node)
    client = FakeClient(node.folder(lease))
    client.set("memory_bytes", GIB // 2)

    ask(node, memory="256Mi")
    wait_until(lambda: notes(node))
    ask(node, memory="600Mi")

    wait_until(lambda: in_force(node, lease)[2] == 600 << 20, SOON_S)
    assert "'256Mi': the pod holds 512Mi now; 1Gi stays in force" in notes(node)[0]
    client.hang_up()


def test_a_raise_leaves_the_room_of_a_pod_that_is_bound_and_has_not_started(node) -> None:
    lease = running(node, "asks", 60, 40)
    node.api.put("pods", gpu_pods.pod("bound", sm=60, quota=50, gpu=node.gpus[0]))
    container = node.kubelet.admit("team", "bound", 60, 50)

    ask(node, "asks", request="60")
    wait_until(lambda: notes(node))
    node.kubelet.start(container)

    assert in_force(node, lease)[0] == 40


def test_a_container_that_starts_again_keeps_its_terms(node) -> None:
    first = running(node)
    ask(node, request="30", memory="2Gi")
    wait_until(lambda: node.leases["resnet-0"].quota_request_percent == 30)

    node.kubelet.start(next(iter(node.kubelet.listed)))

    lease = node.leases["resnet-0"]
    assert lease.lease_id != first.lease_id
    assert in_force(node, lease) == (30, 100, 2 * GIB)


def test_a_plugin_that_is_killed_judges_what_was_asked_meanwhile_and_nothing_twice(node) -> None:
    running(node, "other", 60, 60)
    lease = running(node, "asks", 60, 40)
    ask(node, "asks", request="50")
    wait_until(lambda: notes(node))
    node.kill("plugin")
    ask(node, "other", request="30")

    node.start("plugin")

    wait_until(lambda: in_force(node, node.leases["other"])[0] == 30, 15)
    wait_until(lambda: node.leases["other"].pod_uid in standings(node))
    assert in_force(node, lease)[0] == 40
    assert len(notes(node)) == 1


def test_a_change_is_in_force_within_a_window_of_the_agents_knowing_it(node) -> None:
    """Measured from the write at the API server: watch, judgement, pages, timetable, reload."""
    lease = running(node)
    times = []
    for request in (30, 60, 20, 50, 40):
        ask(node, request=str(request))
        began_s = time.monotonic()
        wait_until(lambda request=request: by_daemon(node, lease)[0] == request, SOON_S)
        times.append(time.monotonic() - began_s)

    print(f"in force after {[round(1e3 * each) for each in times]} ms")  # noqa: T201
    assert sorted(times)[len(times) // 2] < 0.5
