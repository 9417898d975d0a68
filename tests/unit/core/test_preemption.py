"""Whom preemption evicts, on one GPU and among several."""

from gshare import layout
from gshare.annotations import PodPlacement
from gshare.ledger import Ground, PlacedPod
from gshare.models import ModelShare
from gshare.modes import RECT, SLICED, Packer
from gshare.placement import Gpu, Request, Snapshot
from gshare.preemption import Budget, Demand, Plan, Waiting, is_enough, plan
from gshare.rectangles import Size
from gshare.selectors import Selector

GIB = 2**30
PLENTY = (1600, 1600)
NOW_S = 1000.0


def pod(name, quota, sm, priority=0, **changes):
    values = {
        "uid": name,
        "namespace": "default",
        "name": name,
        "node": "a",
        "placement": PodPlacement("GPU-0", sm, quota, GIB),
        "priority": priority,
        "labels": {"app": name},
    }
    return PlacedPod(**(values | changes))


def ground(*pods, node="a", uuid="GPU-0", units_free=PLENTY, memory_bytes=16 * GIB, mode=RECT):
    """Return a GPU with a model store that takes nothing for itself."""
    sizes = {each.uid: each.placement.size for each in pods}
    arranged = Packer(mode).arrange(sizes)
    assert arranged is not None
    memory = tuple((key, GIB) for key in arranged.keys)
    shares = tuple((each.uid, model) for each in pods if (model := each.placement.shared))
    gpu = Gpu(uuid, memory_bytes, 80, store_bytes=0)
    snapshot = Snapshot(gpu, arranged, memory, shares)
    return Ground(node, snapshot, {each.uid: each for each in pods}, units_free)


def newcomer(quota, sm, memory_bytes=GIB, model=None):
    return Request("new", sm, quota, memory_bytes, model)


def sharer(name, size_bytes, key="bert", **changes):
    model = ModelShare(key, size_bytes, "default")
    return pod(name, 10, 10, placement=PodPlacement("GPU-0", 10, 10, GIB, model), **changes)


def evicted(answer):
    assert isinstance(answer, Plan)
    return {each.name for each in answer.victims}


def decide(grounds, request, priority=10, budgets=()):
    return plan(grounds, Demand(request, priority), budgets, Packer(RECT), now_s=NOW_S)


EXAMPLE = (pod("wide", 60, 100), pod("low", 40, 50), pod("high", 40, 50, priority=5))


def test_of_lone_pods_of_equal_priority_the_smaller_goes():
    assert evicted(decide([ground(*EXAMPLE)], newcomer(40, 40))) == {"low"}


def test_a_pod_that_needs_a_larger_hole_costs_the_pod_that_leaves_it():
    assert evicted(decide([ground(*EXAMPLE)], newcomer(50, 60))) == {"wide"}


def test_all_go_where_only_an_empty_gpu_is_enough():
    assert evicted(decide([ground(*EXAMPLE)], newcomer(100, 60))) == {"wide", "low", "high"}


def test_a_lower_highest_priority_counts_before_fewer_victims():
    crowd = ground(pod("one", 50, 100), pod("two", 50, 100), node="a")
    alone = ground(pod("dear", 100, 100, priority=3), node="b", uuid="GPU-1")

    answer = decide([alone, crowd], newcomer(100, 60))

    assert evicted(answer) == {"one", "two"}
    assert answer.node == "a"


def test_nobody_of_equal_or_higher_priority_is_evicted():
    full = ground(pod("equal", 100, 50, priority=10), pod("higher", 100, 50, priority=20))

    assert decide([full], newcomer(10, 10)) is None


def test_a_budget_that_lets_nobody_go_moves_the_choice():
    full = ground(pod("guarded", 40, 50), pod("other", 60, 50), pod("third", 100, 50))
    guard = Budget("default", "pdb", 0, Selector({"app": "guarded"}))

    assert evicted(decide([full], newcomer(40, 50))) == {"guarded"}
    assert evicted(decide([full], newcomer(40, 50), budgets=[guard])) == {"other"}


def test_a_budget_counts_all_victims_together():
    full = ground(pod("one", 50, 100), pod("two", 50, 100))
    guard = Budget("default", "pdb", 1, Selector())

    assert decide([full], newcomer(100, 50), budgets=[guard]) is None


def test_a_budget_of_another_namespace_does_not_count():
    full = ground(pod("one", 100, 100))
    guard = Budget("elsewhere", "pdb", 0, Selector())

    assert evicted(decide([full], newcomer(50, 50), budgets=[guard])) == {"one"}


def test_pods_that_leave_anyway_are_waited_for():
    full = ground(pod("leaving", 50, 100, leaves_at_s=NOW_S + 30), pod("staying", 50, 100))

    assert decide([full], newcomer(50, 100)) == Waiting("a", "GPU-0")


def test_a_pod_that_leaves_is_counted_as_gone_and_is_no_victim():
    full = ground(pod("leaving", 50, 100, leaves_at_s=NOW_S + 30), pod("staying", 50, 100))

    assert evicted(decide([full], newcomer(100, 100))) == {"staying"}


def test_the_youngest_of_equals_goes():
    full = ground(
        pod("old", 50, 100, created="2026-11-24T08:00:00Z"),
        pod("young", 50, 100, created="2026-11-24T09:00:00Z"),
    )

    assert evicted(decide([full], newcomer(50, 100))) == {"young"}


def test_memory_makes_victims_too():
    full = ground(pod("one", 10, 10), pod("two", 10, 10), memory_bytes=2 * GIB)

    answer = decide([full], newcomer(10, 10, memory_bytes=GIB))

    assert len(evicted(answer)) == 1


def test_memory_that_no_departure_frees_evicts_nobody():
    full = ground(pod("one", 100, 100), memory_bytes=2 * GIB)

    assert decide([full], newcomer(10, 10, memory_bytes=3 * GIB)) is None


def test_plain_units_of_the_node_hold():
    full = ground(pod("one", 100, 60), units_free=(0, 1600))

    assert decide([full], newcomer(100, 70)) is None
    assert evicted(decide([full], newcomer(100, 60))) == {"one"}


def test_reservations_hold_their_room():
    held = ground(pod("pod", 50, 100), pod("reserved", 50, 100))
    held = Ground("a", held.snapshot, {"pod": held.pods["pod"]}, PLENTY)

    assert decide([held], newcomer(100, 100)) is None
    assert evicted(decide([held], newcomer(50, 100))) == {"pod"}


def test_no_victim_is_in_vain_on_a_gpu_of_many():
    """Past MOST_TRIES sets: whoever can stay beside the newcomer stays."""
    crowd = ground(*(pod(f"p{index:02}", 10, 20) for index in range(48)), memory_bytes=64 * GIB)

    answer = decide([crowd], newcomer(100, 60))

    victims = evicted(answer)
    stay = [Size(10, 20)] * (48 - len(victims))
    assert layout.find(sorted((*stay, Size(100, 60)))) is not None
    assert layout.find(sorted((*stay, Size(10, 20), Size(100, 60)))) is None


def test_a_plan_says_what_the_newcomer_gets():
    answer = decide([ground(pod("one", 100, 100))], newcomer(40, 12))

    assert isinstance(answer, Plan)
    assert (answer.node, answer.gpu_uuid) == ("a", "GPU-0")
    assert answer.placement == PodPlacement("GPU-0", 12, 40, GIB)


def test_weights_are_freed_by_all_who_share_them_and_by_no_one_of_them():
    crowd = ground(sharer("one", 12 * GIB), sharer("two", 12 * GIB))

    answer = decide([crowd], newcomer(10, 10, memory_bytes=4 * GIB))

    assert evicted(answer) == {"one", "two"}


def test_a_pod_with_weights_of_its_own_goes_before_several_who_share_theirs():
    """Though all ask the same, and the others would be looked at first."""
    crowd = ground(sharer("a", 5 * GIB), sharer("b", 5 * GIB), sharer("lone", 6 * GIB, "llama"))

    answer = decide([crowd], newcomer(10, 10, memory_bytes=7 * GIB))

    assert evicted(answer) == {"lone"}


def test_a_newcomer_needs_no_more_than_its_own_memory_where_its_weights_stay():
    crowd = ground(sharer("one", 12 * GIB, priority=5), pod("plain", 10, 10), pod("other", 10, 10))
    wants = newcomer(10, 10, memory_bytes=2 * GIB, model=ModelShare("bert", 12 * GIB, "default"))

    answer = decide([crowd], wants)

    assert evicted(answer) == {"other"}
    assert answer.placement.shared == wants.model


def test_a_newcomer_pays_for_weights_that_leave_with_a_victim():
    crowd = ground(
        sharer("one", 12 * GIB), pod("plain", 10, 10, priority=20), memory_bytes=14 * GIB
    )
    wants = newcomer(10, 10, memory_bytes=GIB, model=ModelShare("bert", 12 * GIB, "default"))

    assert evicted(decide([crowd], wants)) == {"one"}
    assert decide([crowd], newcomer(10, 10, 2 * GIB, wants.model)) is None


HALVES = (pod("first", 60, 50), pod("second", 60, 50), pod("third", 30, 50))


def test_in_slices_fewer_must_go():
    sliced = [ground(*HALVES, mode=SLICED)]
    rectangles = [ground(*HALVES[:2]), ground(*HALVES[:2], mode=SLICED)]

    assert not is_enough(rectangles[:1], newcomer(80, 50), (), NOW_S)
    assert is_enough(rectangles[1:], newcomer(80, 50), (), NOW_S, SLICED)

    asked = Demand(newcomer(80, 50), 10)
    assert evicted(plan(sliced, asked, (), Packer(SLICED), now_s=NOW_S)) == {"third"}
