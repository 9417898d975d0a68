"""What the ledger admits, in which order it chooses, and how reservations come and go."""

import gc
import itertools
import random
import weakref

from tests.support.gpus import PAPER
from tests.support.ledgers import (
    GIB,
    asks,
    fit,
    gpu,
    ledger_of,
    placed,
    put_node,
    reservation,
    reserve_best,
    unplaced,
)

from gshare import placement
from gshare.ledger import Candidate, Ledger, RefusalKind
from gshare.modes import RECT, Packer
from gshare.placement import Placement


def test_an_idle_gpu_takes_a_pod_with_the_memory_it_asks():
    answer = ledger_of().fit(asks(memory=3 * GIB), "a")

    assert answer == Candidate("a", "GPU-a", 3 * GIB, used_area=0)


def test_memory_that_is_not_named_is_the_share_of_the_chosen_gpu():
    answer = ledger_of().fit(asks(quota=50, sm=50, memory=None), "a")

    assert isinstance(answer, Candidate)
    assert answer.memory_bytes == 4 * GIB


def test_the_papers_eight_pods_fit_one_gpu_in_any_order():
    for seed in range(10):
        ledger = ledger_of(["a", "b"])
        sizes = random.Random(seed).sample(PAPER, len(PAPER))  # noqa: S311

        places = {
            reserve_best(ledger, asks(f"p{index}", size.width, size.height))
            for index, size in enumerate(sizes)
        }

        assert places == {"a/GPU-a"}


def test_a_pod_may_be_seen_before_its_node():
    ledger = Ledger()
    ledger.put(placed("early", quota=100, sm=100))

    put_node(ledger, "a")

    assert fit(ledger, asks()) == RefusalKind.FULL


def test_a_pod_that_is_gone_gives_its_rectangle_back():
    ledger = ledger_of()
    ledger.put(placed("p", quota=100, sm=100))

    freed = ledger.drop_pod("p")

    assert freed == "a"
    assert fit(ledger, asks()) == "GPU-a"


def test_a_pod_that_is_leaving_holds_its_rectangle_until_it_is_gone():
    ledger = ledger_of()
    ledger.put(placed("p", quota=100, sm=100, leaves_at_s=1.0))

    assert fit(ledger, asks()) == RefusalKind.FULL


def test_memory_is_a_hard_constraint():
    ledger = ledger_of()
    ledger.put(placed("p", memory=15 * GIB))

    assert fit(ledger, asks(memory=2 * GIB)) == RefusalKind.MEMORY


def test_mps_clients_are_a_hard_constraint():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a", max_clients=2))
    for name in ("p", "q"):
        ledger.put(placed(name))

    assert fit(ledger, asks()) == RefusalKind.CLIENTS


def test_a_gpu_that_is_not_healthy_takes_nothing_and_keeps_its_pods():
    ledger = ledger_of()
    ledger.put(placed("p"))

    put_node(ledger, "a", gpu("GPU-a", is_healthy=False))

    assert fit(ledger, asks()) == RefusalKind.UNHEALTHY
    assert ledger.snapshots("a")[0].layout.keys == ("p",)
    assert ledger.problems() == ()


def test_plain_sums_stay_below_what_the_node_advertises():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a"), units=100)
    ledger.put(placed("p", quota=40, sm=50))

    assert fit(ledger, asks(quota=60, sm=50)) == "GPU-a"
    assert fit(ledger, asks(quota=61, sm=10)) == RefusalKind.UNITS


def test_pods_without_a_placement_count_in_the_plain_sums_alone():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a"), units=150)
    ledger.put(unplaced("astray", units=100))

    assert fit(ledger, asks(quota=50, sm=50)) == "GPU-a"
    assert fit(ledger, asks(quota=51, sm=50)) == RefusalKind.UNITS


def test_a_node_whose_plugin_is_away_offers_nothing():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a"), units=0)

    assert fit(ledger, asks()) == RefusalKind.NO_GPU


def test_a_node_that_is_gone_offers_nothing():
    ledger = ledger_of()

    ledger.drop_node("a")

    assert fit(ledger, asks()) == RefusalKind.NO_GPU
    assert ledger.nodes() == ()


def test_a_node_that_comes_back_still_has_its_pods():
    ledger = ledger_of()
    ledger.put(placed("p", quota=100, sm=100))
    ledger.drop_node("a")

    put_node(ledger, "a")

    assert fit(ledger, asks()) == RefusalKind.FULL


def test_the_fuller_gpu_wins_across_nodes():
    ledger = ledger_of(["a", "b", "c"])
    ledger.put(placed("p", node="b", quota=50, sm=50))
    ledger.put(placed("q", node="c", quota=40, sm=50))

    ranking = ledger.rank(asks(), ["a", "b", "c"], 3)

    assert [each.node for each in ranking.candidates] == ["b", "c", "a"]


def test_of_equal_gpus_the_one_on_the_fuller_node_wins():
    ledger = Ledger()
    for name in ("a", "b"):
        put_node(ledger, name, gpu(f"GPU-{name}"), gpu(f"GPU-{name}-2"))
    ledger.put(placed("p", node="b", quota=100, sm=95))

    assert reserve_best(ledger, asks(sm=50)) == "b/GPU-b-2"


def test_nodes_fill_tight_one_after_another():
    ledger = ledger_of(["a", "b"])

    places = [reserve_best(ledger, asks(f"p{index}", 50, 50)) for index in range(8)]

    assert places == ["a/GPU-a"] * 4 + ["b/GPU-b"] * 4


def test_within_a_node_the_choice_is_that_of_placement():
    """The rule of `placement.choose`, for random GPUs and requests, where it lays nothing anew."""
    chance = random.Random(1)  # noqa: S311
    ledger = Ledger()
    put_node(ledger, "a", *(gpu(f"GPU-{index}") for index in range(4)))
    for number in range(60):
        request = asks(f"p{number}", chance.randint(5, 60), chance.randint(5, 60))
        wanted = placement.choose(ledger.snapshots("a"), request, Packer(RECT))

        got = reserve_best(ledger, request)

        if isinstance(wanted, Placement):
            assert got == f"a/{wanted.gpu_uuid}"
        else:
            assert got == RefusalKind.FULL
            ledger.cancel(f"p{chance.randrange(number)}")


def test_a_ranking_has_at_most_the_best_nodes_and_then_no_refusals():
    ledger = ledger_of(["a", "b", "c"])

    ranking = ledger.rank(asks(), ["a", "b", "c", "unknown"], 2)

    assert [each.node for each in ranking.candidates] == ["a", "b"]
    assert ranking.refusals == {}


def test_what_was_asked_does_not_wait_for_the_collector_of_cycles():
    """The names of a cluster's nodes are half a megabyte with each request."""

    class Names(list):
        """A list that can be watched."""

    ledger, names = ledger_of(["a"]), Names(["a"])
    left = weakref.ref(names)
    gc.disable()
    try:
        ledger.rank(asks(), names, 1)
        del names

        assert left() is None
    finally:
        gc.enable()


def test_where_no_node_takes_a_pod_each_says_why():
    ledger = ledger_of(["a", "b"])
    ledger.put(placed("p", "a", quota=100, sm=100))
    ledger.put(placed("q", "b", memory=16 * GIB))

    ranking = ledger.rank(asks(), ["b", "unknown", "a"], 2)

    assert list(ranking.refusals.items()) == [
        ("b", RefusalKind.MEMORY),
        ("unknown", RefusalKind.NO_GPU),
        ("a", RefusalKind.FULL),
    ]


def test_refusals_have_one_text_for_equal_nodes():
    ledger = ledger_of(["a", "b"])
    for node in ("a", "b"):
        ledger.put(placed(f"p-{node}", node, quota=100, sm=100))

    ranking = ledger.rank(asks(), ["a", "b"], 16)

    assert set(ranking.refusals.values()) == {"GPU rectangles are full"}


def test_a_reservation_holds_its_place_until_it_is_given_up():
    ledger = ledger_of()
    ledger.reserve(reservation("p", quota=100, sm=100))
    while_held = fit(ledger, asks())

    freed = ledger.cancel("p")

    assert while_held == RefusalKind.FULL
    assert freed == "a"
    assert fit(ledger, asks()) == "GPU-a"


def test_a_pod_has_one_reservation_at_most():
    ledger = ledger_of(["a", "b"])
    ledger.reserve(reservation("p", "a", 100, 100))

    ledger.reserve(reservation("p", "b", 100, 100))

    assert fit(ledger, asks(), "a") == "GPU-a"
    assert fit(ledger, asks(), "b") == RefusalKind.FULL


def test_reservations_expire():
    ledger = ledger_of()
    ledger.reserve(reservation("p", expires_s=10.0))

    early, late = ledger.expire(9.9), ledger.expire(10.0)

    assert early == ()
    assert [each.uid for each in late] == ["p"]
    assert ledger.reservations() == ()


def test_a_reservation_may_be_held_for_longer_and_be_given_another_place():
    ledger = ledger_of(["a", "b"])
    ledger.reserve(reservation("p", "a", 100, 100, expires_s=10.0))

    ledger.reserve(reservation("p", "a", 100, 100, expires_s=20.0))
    early = ledger.expire(15.0)
    ledger.reserve(reservation("p", "a", 50, 100, expires_s=20.0))

    assert early == ()
    assert fit(ledger, asks(quota=50, sm=100), "a") == "GPU-a"
    assert [each.uid for each in ledger.expire(20.0)] == ["p"]


def test_the_observed_pod_takes_the_place_of_its_reservation():
    ledger = ledger_of(["a", "b"])
    ledger.reserve(reservation("p", "a", 100, 100))

    ledger.put(placed("p", "b", 100, 100))

    assert ledger.reservations() == ()
    assert fit(ledger, asks(), "a") == "GPU-a"
    assert fit(ledger, asks(), "b") == RefusalKind.FULL


def test_a_pod_that_is_seen_on_a_node_needs_no_reservation():
    ledger = ledger_of()
    ledger.put(placed("p"))

    ledger.reserve(reservation("p"))

    assert ledger.reservations() == ()


def test_a_reservation_is_given_up_when_its_pod_is_gone():
    ledger = ledger_of()
    ledger.reserve(reservation("p", quota=100, sm=100))

    assert ledger.drop_pod("p") == "a"
    assert fit(ledger, asks()) == "GPU-a"


def test_a_reservation_is_sound_while_everything_that_is_seen_allows_it():
    ledger = ledger_of()
    ledger.reserve(reservation("p", quota=60, sm=60))
    before = ledger.is_sound("p")

    ledger.put(placed("intruder", quota=60, sm=60))

    assert before
    assert not ledger.is_sound("p")
    assert not ledger.is_sound("nobody")


def test_a_place_that_its_victims_are_to_leave_is_nobody_elses():
    ledger = ledger_of()
    ledger.put(placed("victim", quota=50, sm=100))

    ledger.reserve(reservation("urgent", quota=100, sm=50, victims=frozenset({"victim"})))

    assert fit(ledger, asks(quota=5, sm=5)) == RefusalKind.HELD
    assert ledger.problems() == ()


def test_it_is_taken_once_the_last_victim_has_left():
    ledger = ledger_of()
    ledger.put(placed("victim", quota=50, sm=100))
    ledger.reserve(reservation("urgent", quota=100, sm=50, victims=frozenset({"victim"})))

    ledger.drop_pod("victim")

    assert ledger.snapshots("a")[0].layout.keys == ("urgent",)
    assert fit(ledger, asks(quota=100, sm=50)) == "GPU-a"
    assert fit(ledger, asks(quota=100, sm=51)) == RefusalKind.FULL


def test_a_new_layout_is_tried_before_an_emptier_node_is_used():
    """Two of 40 by 12 beside each other leave no free 60 by 50 twice; laid out anew they do."""
    sizes = [(40, 12), (40, 12), (60, 50), (40, 24), (40, 24), (40, 12), (40, 12), (60, 50)]
    ledger = ledger_of(["a", "b"])

    places = [reserve_best(ledger, asks(f"p{index}", *size)) for index, size in enumerate(sizes)]

    assert places == ["a/GPU-a"] * 8


def test_equal_gpus_share_one_state():
    ledger = ledger_of([f"n{index}" for index in range(50)])

    ledger.rank(asks(), ledger.nodes(), 16)

    assert len(ledger._states) == 1


def test_events_in_any_order_give_the_same_answers():
    pods = [placed("p", quota=60, sm=50), placed("q", quota=60, sm=50), placed("r")]
    answers = set()
    for order in itertools.permutations([*pods, "node"]):
        ledger = Ledger()
        for event in order:
            if event == "node":
                put_node(ledger, "a")
            else:
                ledger.put(event)
        answers.add((fit(ledger, asks(quota=40, sm=88)), fit(ledger, asks(quota=41, sm=88))))

    assert answers == {("GPU-a", RefusalKind.FULL)}
