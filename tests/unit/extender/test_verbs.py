"""Filter and prioritize, from message to message."""

import pytest
from tests.support.scheduling import as_node, as_pod, gpu_node, gpu_pod, placement

from gshare_extender.cluster import Cluster
from gshare_extender.messages import FilterArgs
from gshare_extender.settings import ExtenderSettings
from gshare_extender.verbs import Verbs

NODES = ["a", "b", "c"]


@pytest.fixture
def cluster():
    found = Cluster(ExtenderSettings(filter_nodes=2))
    for name in NODES:
        found.take_node("put", as_node(gpu_node(name)))
    return found


@pytest.fixture
def refused():
    return []


@pytest.fixture
def verbs(cluster, refused):
    return Verbs(cluster, lambda: "", refused.append)


def args(nodes=NODES, **changes):
    return FilterArgs(as_pod(gpu_pod(**changes)), nodes)


def test_filter_offers_the_best_nodes_and_no_more(verbs):
    result = verbs.filter(args())

    assert list(result.node_names) == ["a", "b"]
    assert dict(result.failed_and_unresolvable_nodes) == {}


def test_full_nodes_are_unresolvable_with_one_text(verbs, cluster, refused):
    for node in NODES:
        held = placement(node, 100, 100)
        pod = gpu_pod(f"p-{node}", "100", "100", node=node, placement=held)
        cluster.take_pod("put", as_pod(pod))

    result = verbs.filter(args())

    assert list(result.node_names) == []
    assert dict(result.failed_and_unresolvable_nodes) == dict.fromkeys(
        NODES, "GPU rectangles are full"
    )
    assert [demand.nodes for demand in refused] == [("a", "b", "c")]


def test_an_invalid_pod_is_unresolvable_everywhere_with_one_text(verbs, refused):
    result = verbs.filter(args(quota=None))

    (text,) = set(result.failed_and_unresolvable_nodes.values())
    assert "a rectangle needs both gshare.io/vgpu-quota and gshare.io/vgpu-sm" in text
    assert set(result.failed_and_unresolvable_nodes) == set(NODES)
    assert refused == []


def test_a_pod_that_asks_nothing_of_us_passes_everywhere(verbs):
    plain = {"containers": [{"name": "server"}]}

    assert list(verbs.filter(args(spec=plain)).node_names) == NODES


def test_without_names_the_configuration_is_at_fault(verbs):
    assert "nodeCacheCapable: true" in verbs.filter(args(nodes=None)).error


def test_nothing_is_answered_while_the_cluster_is_not_known(cluster):
    verbs = Verbs(cluster, lambda: "gshare does not know the pods yet", lambda _: None)

    result = verbs.filter(args())

    assert result.error == "gshare does not know the pods yet"
    assert list(result.node_names) == []


def test_a_pod_that_is_bound_already_is_offered_its_node_alone(verbs, cluster):
    cluster.take_pod("put", as_pod(gpu_pod(node="b", placement=placement("b"))))

    result = verbs.filter(args())

    assert list(result.node_names) == ["b"]
    assert dict(result.failed_and_unresolvable_nodes) == dict.fromkeys(
        ["a", "c"], "pod is on another node already"
    )


def test_scores_follow_the_order_of_the_offer(verbs):
    verbs.filter(args())

    scores = {each.host: each.score for each in verbs.prioritize(args(nodes=["b", "a", "c"]))}

    assert scores == {"a": 10, "b": 9, "c": 0}


def test_a_pod_that_was_not_filtered_here_has_no_preference(verbs):
    assert {each.score for each in verbs.prioritize(args())} == {0}
