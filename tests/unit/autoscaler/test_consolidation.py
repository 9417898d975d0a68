"""Which replica leaves first."""

import itertools
import random

import pytest

from gshare_autoscaler import consolidation
from gshare_autoscaler.consolidation import Tenant


def replica(uid, gpu, cost=None, group="a", area=1000):
    return Tenant(uid, group, gpu, area, cost)


def other(uid, gpu, area=3000):
    return Tenant(uid, "", gpu, area)


def leaving(tenants, group="a"):
    """Return the order in which the ReplicaSet controller takes the replicas."""
    costs = {each.uid: each.cost or 0 for each in tenants} | consolidation.costs(tenants)
    return sorted((each.uid for each in tenants if each.group == group), key=lambda uid: costs[uid])


def test_a_replica_alone_on_a_gpu_leaves_before_one_beside_others():
    tenants = [replica("beside", "g1"), other("o", "g1"), replica("alone", "g2")]

    assert leaving(tenants) == ["alone", "beside"]


def test_the_emptier_gpu_comes_first_where_others_lie_on_both():
    tenants = [
        replica("full", "g1"),
        other("o1", "g1", 8000),
        replica("empty", "g2"),
        other("o2", "g2", 500),
    ]

    assert leaving(tenants) == ["empty", "full"]


def test_all_replicas_of_one_gpu_leave_before_any_of_the_next():
    tenants = [replica("p1", "g1"), replica("q1", "g2"), replica("p2", "g1"), replica("q2", "g2")]

    order = leaving(tenants)

    assert {order[0], order[1]} in ({"p1", "p2"}, {"q1", "q2"})


def test_of_two_gpus_without_others_the_one_with_fewer_replicas_is_freed_first():
    tenants = [replica("p1", "g1"), replica("p2", "g1"), replica("q", "g2")]

    assert leaving(tenants)[0] == "q"


def test_replicas_of_another_group_count_as_others():
    tenants = [replica("p", "g1"), replica("b", "g1", group="b"), replica("q", "g2")]

    assert leaving(tenants) == ["q", "p"]


@pytest.mark.parametrize(
    "costs",
    [(1, 2), (0, 5), (None, 1), (-3, None)],
    ids=["as given", "other numbers", "without a first", "below none"],
)
def test_what_is_in_order_is_left_as_it_stands(costs):
    tenants = [replica("alone", "g1", costs[0]), replica("p", "g2", costs[1]), other("o", "g2")]

    assert consolidation.costs(tenants) == {}


def test_only_what_differs_is_written():
    tenants = [
        replica("first", "g1", 1),
        replica("second", "g2", 1),
        other("o", "g2"),
    ]

    assert consolidation.costs(tenants) == {"second": 2}


def test_a_single_replica_needs_no_cost():
    assert consolidation.costs([replica("p", "g1"), other("o", "g1")]) == {}


def freed(tenants, gone):
    """Return how many GPUs nobody holds any more."""
    left = {each.gpu for each in tenants if each.uid not in gone}
    return len({each.gpu for each in tenants} - left)


def test_no_other_choice_frees_more_gpus_for_any_number_of_departures():
    """The module's invariant, against all choices, on 200 small clusters."""
    chance = random.Random(7)  # noqa: S311 (no secret)
    for _ in range(200):
        tenants = [
            Tenant(str(index), chance.choice(["a", "a", ""]), f"g{chance.randrange(4)}", 1000)
            for index in range(7)
        ]
        order = leaving(tenants)

        for count in range(len(order) + 1):
            best = max(freed(tenants, each) for each in itertools.combinations(order, count))
            assert freed(tenants, order[:count]) == best
