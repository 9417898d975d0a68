"""What is remembered of pods and nodes, and that it tells what whole objects would."""

import pytest
from tests.support.scheduling import as_node, as_pod, gpu_node, gpu_pod, placement

from gshare.ledger import PlacedPod
from gshare.runtime.kube.cache import Cache
from gshare_extender.seen import SeenNode, SeenPod


def seen(version="7", **changes):
    body = gpu_pod(**changes)
    body["metadata"]["resourceVersion"] = version
    return SeenPod.of(as_pod(body))


def test_of_a_pod_that_has_its_place_no_more_is_kept_than_that():
    pod = seen(node="a", placement=placement())

    assert isinstance(pod.holds, PlacedPod)
    assert pod.pod is None
    assert (pod.uid, pod.node, pod.matters, pod.failed_for) == ("uid-p", "a", True, "")


def test_a_pod_without_a_place_is_kept_whole():
    pod = seen()

    assert pod.pod == as_pod(
        gpu_pod() | {"metadata": gpu_pod()["metadata"] | {"resourceVersion": "7"}}
    )
    assert (pod.uid, pod.node, pod.matters) == ("uid-p", "", True)


def test_a_pod_that_has_ended_says_why_and_matters_no_more():
    body = gpu_pod(node="a", placement=placement(), phase="Failed")
    body["status"]["reason"] = "UnexpectedAdmissionError"

    pod = SeenPod.of(as_pod(body))

    assert (pod.failed_for, pod.node, pod.matters) == ("UnexpectedAdmissionError", "a", False)


@pytest.mark.parametrize(
    "changes", [{}, {"node": "a", "placement": placement()}], ids=["pending", "placed"]
)
def test_a_new_version_of_a_pod_is_a_change_and_the_same_is_none(changes):
    cache = Cache[SeenPod](lambda pod: pod.matters)
    cache.put(seen(**changes))

    same, later = cache.put(seen(**changes)), cache.put(seen("8", **changes))

    assert same == []
    assert [each.verb for each in later] == ["put"]


def test_a_pod_that_was_replaced_unseen_is_dropped_and_put():
    cache = Cache[SeenPod]()
    cache.put(seen(node="a", placement=placement()))
    other = gpu_pod()
    other["metadata"]["uid"] = "uid-other"

    changes = cache.put(SeenPod.of(as_pod(other)))

    assert [(each.verb, each.item.uid) for each in changes] == [
        ("drop", "uid-p"),
        ("put", "uid-other"),
    ]


def test_of_a_node_its_offer_is_kept():
    body = gpu_node("a")
    body["metadata"] |= {"uid": "uid-a", "resourceVersion": "3"}

    node = SeenNode.of(as_node(body))

    assert [gpu.uuid for gpu in node.offer.inventory] == ["GPU-a"]
    meta = node.metadata
    assert (meta.name, meta.uid, meta.resource_version) == ("a", "uid-a", "3")
