"""The best nodes of a list that is not read are the best of the list that is."""

import json

import pytest
from tests.support.scheduling import as_node, as_pod, gpu_node, gpu_pod, placement

from gshare.placement import Request
from gshare_extender.cluster import Cluster
from gshare_extender.nodelist import NodeList
from gshare_extender.settings import ExtenderSettings

NODES = [f"node-{number}" for number in range(40)]
SMALL = Request("uid-small", 10, 10, 1)


class Listed(NodeList):
    """A list as the scheduler sends it, that knows how often it was read."""

    def __init__(self, names):
        super().__init__(json.dumps(names, separators=(",", ":")).encode(), self._read_names)
        self.names = names
        self.times_read = 0

    def _read_names(self):
        self.times_read += 1
        return self.names


@pytest.fixture
def cluster():
    """Return one whose nodes are filled in the order of their names, the first most."""
    found = Cluster(ExtenderSettings(filter_nodes=4))
    for number, name in enumerate(NODES):
        found.take_node("put", as_node(gpu_node(name)))
        if used := max(0, 20 - number):
            held = placement(name, 4 * used, 100)
            pod = gpu_pod(f"on-{name}", str(4 * used), "100", node=name, placement=held)
            found.take_pod("put", as_pod(pod))
    return found


def offered(cluster, nodes):
    return [each.node for each in cluster.offer(SMALL, nodes).candidates]


def test_a_list_of_all_nodes_in_any_order_is_not_read(cluster):
    expected = offered(cluster, tuple(NODES))
    backwards = Listed(NODES[::-1])

    assert offered(cluster, backwards) == expected
    assert backwards.times_read == 0


def test_a_list_that_has_the_best_of_all_is_not_read(cluster):
    few = Listed([*NODES[:20], "unknown"])

    assert offered(cluster, few) == offered(cluster, tuple(NODES))
    assert few.times_read == 0


@pytest.mark.parametrize("left_out", range(8), ids="without the node of rank {}".format)
def test_a_list_without_one_of_the_best_gets_its_own_best(cluster, left_out):
    best = offered(cluster, tuple(NODES))
    ranked = [*best, *(name for name in NODES if name not in best)]
    names = [name for name in NODES if name != ranked[left_out]]

    assert offered(cluster, Listed(names)) == offered(cluster, tuple(names))


def test_after_a_list_that_had_to_be_read_others_are_read_at_once_for_a_while(cluster):
    offered(cluster, Listed(NODES[30:]))
    lists = [Listed(NODES) for _ in range(20)]

    for each in lists:
        offered(cluster, each)

    assert [each.times_read for each in lists] == [1] * 16 + [0] * 4


def test_where_no_node_takes_a_pod_each_on_the_list_says_why(cluster):
    whole = Request("uid-whole", 100, 100, 1)
    full = Listed([*NODES[:20], "unknown"])

    ranking = cluster.offer(whole, full)

    assert ranking.candidates == ()
    assert set(ranking.refusals) == set(full.names)


def test_a_node_that_is_gone_is_not_offered_and_one_that_came_is(cluster):
    gone = offered(cluster, Listed(NODES))[0]
    cluster.take_node("drop", as_node(gpu_node(gone)))
    without = offered(cluster, Listed(NODES))
    cluster.take_node("put", as_node(gpu_node("a-new-one")))
    held = placement("a-new-one", 88, 100)
    pod = gpu_pod("p", "88", "100", node="a-new-one", placement=held)
    cluster.take_pod("put", as_pod(pod))

    assert gone not in without
    assert offered(cluster, Listed([*NODES, "a-new-one"]))[0] == "a-new-one"


@pytest.mark.parametrize(
    ("names", "has_all"),
    [
        (["a", "b"], True),
        (["c", "a"], True),
        ([], True),
        (["b", "d"], False),
        (["bb"], False),
        (["b-1", "b"], True),
        (["-1"], False),
    ],
    ids=["in order", "out of order", "none", "one missing", "longer", "prefix", "suffix"],
)
def test_a_list_knows_whole_names_alone(names, has_all):
    assert Listed(["a", "b", "b-1", "c"]).has_all(names) is has_all


def test_a_list_is_a_sequence_of_its_names():
    found = Listed(["a", "b", "c"])

    assert (len(found), found[1], list(found), found[1:]) == (3, "b", ["a", "b", "c"], ("b", "c"))
    assert "b" in found
    assert found.times_read == 1
