"""Which GPUs a plan frees, in which order, and why others stay."""

import dataclasses

import pytest
from tests.support.ledgers import gpu, placed, put_node, sharing

from gshare import defrag
from gshare.defrag import Tenant, rooms
from gshare.ledger import Ledger
from gshare.models import ModelShare
from gshare.modes import RECT, Packer
from gshare.placement import Request
from gshare.preemption import Budget
from gshare.rectangles import Size
from gshare.selectors import Selector

GIB = 2**30


def tenant(pod, **changes):
    """Return a pod with a ReplicaSet whose next pod would ask the same."""
    size = pod.placement.size
    at = pod.placement
    request = Request(pod.uid, size.height, size.width, at.memory_bytes, at.model)
    return dataclasses.replace(Tenant(pod, request, "ReplicaSet web"), **changes)


def plan(ledger, tenants=(), budgets=(), most=None):
    """Return the plan for all nodes; pods not among `tenants` are usual ones."""
    known = {each.uid: tenant(each) for each in ledger.placed()}
    known |= {each.pod.uid: each for each in tenants}
    return defrag.plan(ledger.grounds(ledger.nodes()), known, budgets, Packer(RECT), most)


def ledger_of(**pods_by_node):
    """Return a ledger with one GPU a node, and pods of (quota, SM) by node."""
    ledger = Ledger()
    for node, sizes in pods_by_node.items():
        put_node(ledger, node)
        for index, (quota, sm) in enumerate(sizes):
            ledger.put(placed(f"{node}{index}", node, quota, sm))
    return ledger


def moved(found):
    return [
        (clearing.node, [(move.pod.name, move.node) for move in clearing.moves])
        for clearing in found.clearings
    ]


def reasons(found):
    return {kept.node: kept.reason for kept in found.kept}


def test_the_gpu_that_costs_least_is_freed_onto_the_fullest_that_has_room():
    found = plan(ledger_of(a=[(60, 100)], b=[(40, 100)], c=[(30, 100)]))

    assert moved(found) == [("c", [("c0", "a")])]
    assert (found.clearings[0].area, found.clearings[0].memory_bytes) == (3000, GIB)
    assert reasons(found)["a"].startswith("takes in pods")
    assert reasons(found)["b"].startswith("no other GPU in use has room for team/b0 (")


def test_an_unused_gpu_takes_nothing():
    found = plan(ledger_of(a=[(60, 100)], b=[]))

    assert not found.clearings
    assert "team/a0" in reasons(found)["a"]
    assert "b" not in reasons(found)


def test_all_pods_of_a_gpu_find_room_or_none_moves():
    """Two of the three would fit beside 60 by 100."""
    found = plan(ledger_of(a=[(60, 100)], b=[(40, 50), (40, 50), (1, 10)]))

    assert not found.clearings
    assert "team/b2" in reasons(found)["b"]


def test_pods_may_go_where_only_a_new_layout_makes_room():
    ledger = ledger_of(a=[(50, 50)] * 4, b=[(100, 50)])
    opposite = next(uid for uid in ("a1", "a2", "a3") if _leaves_no_row(ledger, "a0", uid))
    ledger.drop_pod("a0")
    ledger.drop_pod(opposite)

    assert moved(plan(ledger)) == [("b", [("b0", "a")])]


def test_without_searches_pods_go_only_where_gpus_have_room_as_they_lie(monkeypatch):
    monkeypatch.setattr(rooms, "SEARCHES", 0)
    ledger = ledger_of(a=[(50, 50)] * 4, b=[(100, 50)])
    opposite = next(uid for uid in ("a1", "a2", "a3") if _leaves_no_row(ledger, "a0", uid))
    ledger.drop_pod("a0")
    ledger.drop_pod(opposite)

    (freed,) = moved(plan(ledger))

    assert freed[0] == "a"


def _leaves_no_row(ledger, *uids):
    """Tell whether the departure of `uids` leaves less than 100 by 50 in one piece."""
    layout = ledger.snapshots("a")[0].layout
    for uid in uids:
        layout = layout.without(uid)
    return not layout.fits(Size(100, 50)) and not layout.fits(Size(50, 100))


def test_lower_priority_moves_first():
    ledger = ledger_of(a=[(60, 100)])
    for node, quota, priority in (("b", 20, 5), ("c", 40, 0)):
        put_node(ledger, node)
        ledger.put(placed(f"{node}0", node, quota, 100, priority=priority))

    assert moved(plan(ledger))[0] == ("c", [("c0", "a")])


def test_a_pod_moves_once_at_most():
    found = plan(ledger_of(a=[(10, 100)], b=[(20, 100)], c=[(30, 100)], d=[(90, 100)]))

    names = [name for _, moves in moved(found) for name, _ in moves]
    targets = {node for _, moves in moved(found) for _, node in moves}
    assert len(names) == len(set(names)) >= 2
    assert targets.isdisjoint(node for node, _ in moved(found))
    assert found.freed_per_eviction == 1.0


def test_no_more_gpus_are_freed_than_asked():
    ledger = ledger_of(a=[(10, 100)], b=[(20, 100)], c=[(70, 100)])

    found = plan(ledger, most=1)

    assert [clearing.node for clearing in found.clearings] == ["a"]
    assert reasons(found)["b"].startswith("could be freed as well")


def test_a_bare_pod_is_never_named():
    ledger = ledger_of(a=[(60, 100)], b=[(40, 100)])

    found = plan(ledger, [tenant(pod, owner="") for pod in ledger.placed()])

    assert not found.clearings
    assert "team/b0 has no controller" in reasons(found)["b"]


def test_a_pod_that_is_leaving_is_not_evicted():
    ledger = ledger_of(a=[(60, 100)])
    put_node(ledger, "b")
    ledger.put(placed("b0", "b", 40, 100, leaves_at_s=10.0))

    assert "team/b0 is leaving already" in reasons(plan(ledger))["b"]


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        pytest.param([0], "kept by its PodDisruptionBudget budget-0", id="none left"),
        pytest.param([1, 1], "two PodDisruptionBudgets", id="two of them"),
    ],
)
def test_a_budget_keeps_its_pods(allowed, reason):
    ledger = ledger_of(a=[(60, 100)], b=[(40, 100)])
    budgets = [
        Budget("team", f"budget-{index}", each, Selector({}, ()))
        for index, each in enumerate(allowed)
    ]

    found = plan(ledger, budgets=budgets)

    assert not found.clearings
    assert reason in reasons(found)["b"]


def test_a_budget_that_allows_one_is_enough_for_pods_that_move_one_by_one():
    ledger = ledger_of(a=[(20, 100)] * 3, b=[(20, 100)] * 2)
    budget = Budget("team", "budget", 1, Selector({}, ()))

    found = plan(ledger, budgets=[budget])

    assert moved(found) == [("b", [("b0", "a"), ("b1", "a")])]


def test_a_pod_goes_only_where_it_may():
    ledger = ledger_of(a=[(60, 100)], b=[(40, 100)])
    bound = [tenant(pod, reach=frozenset({pod.node})) for pod in ledger.placed()]

    assert not plan(ledger, bound).clearings


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param({"memory_bytes": 3 * GIB // 2}, id="memory"),
        pytest.param({"max_clients": 1}, id="MPS clients"),
        pytest.param({"is_healthy": False}, id="health"),
    ],
)
def test_what_a_gpu_lacks_keeps_pods_off(offered):
    ledger = Ledger()
    for node, quota in (("a", 60), ("b", 40)):
        put_node(ledger, node, gpu(f"GPU-{node}", **(offered if node == "a" else {})))
        ledger.put(placed(f"{node}0", node, quota, 100))
    ledger.put(placed("b1", "b", 10, 100))

    assert ("b", [("b0", "a"), ("b1", "a")]) not in moved(plan(ledger))
    assert all(clearing.node != "b" for clearing in plan(ledger).clearings)


def test_units_of_the_node_are_counted_for_pod_and_successor():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-1"), gpu("GPU-2"), units=220)
    for name, uuid, quota in (("p", "GPU-1", 60), ("q", "GPU-2", 40)):
        ledger.put(placed(name, "a", quota, 100, gpu=uuid))

    assert not plan(ledger).clearings


def test_one_gpu_is_cleared_as_things_stand():
    ledger = ledger_of(a=[(60, 100)], b=[(40, 100)])
    known = {pod.uid: tenant(pod) for pod in ledger.placed()}

    def clear(node, uuid):
        grounds = list(ledger.grounds(ledger.nodes()))
        return defrag.clear(grounds, known, (), Packer(RECT), (node, uuid))

    assert [move.node for move in clear("b", "GPU-b").moves] == ["a"]
    assert "out of use" in clear("b", "GPU-x")


BERT = ModelShare("bert", 12 * GIB, "team")


def sharers_of(**pods_by_node):
    """Return a ledger with a GPU with a store a node, and pods of (quota, SM, model) there."""
    ledger = Ledger()
    for node, pods in pods_by_node.items():
        put_node(ledger, node, gpu(f"GPU-{node}", store_bytes=0))
        for index, (quota, sm, model) in enumerate(pods):
            ledger.put(sharing(placed(f"{node}{index}", node, quota, sm), model))
    return ledger


def test_a_pod_goes_where_its_weights_are_though_they_would_not_fit_twice():
    full = (60, 100, ModelShare("llama", 12 * GIB, "team"))

    found = plan(sharers_of(a=[full], b=[(50, 100, BERT)], c=[(10, 100, BERT)]))

    assert moved(found) == [("c", [("c0", "b")])]
