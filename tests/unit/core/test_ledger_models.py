"""Pods that share a model's weights: what their GPU is charged for, and who fits beside them."""

import pytest
from tests.support.ledgers import (
    GIB,
    fit,
    gpu,
    placed,
    put_node,
    reservation,
    reserve_best,
    sharing,
)

from gshare.ledger import Ledger, ProblemKind
from gshare.models import ModelShare
from gshare.placement import Request
from gshare.policies import Preference

STORE = GIB // 2
BERT = ModelShare("bert", 6 * GIB, "team")
UNSIZED = ModelShare("bert", None, "team")


def ledger(store=STORE, **changes):
    """Return a ledger with one GPU of 16 GiB."""
    found = Ledger()
    put_node(found, "a", gpu("GPU-a", store_bytes=store, **changes))
    return found


def wants(memory=2 * GIB, model=BERT, name="new", side=10):
    return Request(name, side, side, memory, model)


def free(found):
    return found.snapshots("a")[0].memory_free_bytes


def test_a_set_that_fits_only_with_sharing_is_placed_and_not_without():
    """Own memory 2 GiB, weights 6 GiB: without sharing two pods fill a GPU, with it four."""
    answers = {}
    for store in (STORE, None):
        found = ledger(store)
        names = [f"p{index}" for index in range(5)]
        answers[store] = [reserve_best(found, wants(name=name)) for name in names]

    assert answers[STORE] == ["a/GPU-a"] * 4 + ["GPU memory is full"]
    assert answers[None] == ["a/GPU-a"] * 2 + ["GPU memory is full"] * 3


def test_weights_count_once_and_leave_with_the_last_pod():
    found = ledger()
    counted = [free(found)]
    for name in ("p", "q"):
        found.put(sharing(placed(name, "a", 10, 10), BERT))
        counted.append(free(found))
    for name in ("p", "q"):
        found.drop_pod(name)
        counted.append(free(found))

    whole = 16 * GIB
    one = whole - STORE - 7 * GIB
    assert counted == [whole, one, one - GIB, one, whole]


def test_a_reservation_counts_with_its_model():
    found = ledger()
    assert reserve_best(found, wants(name="p")) == "a/GPU-a"

    assert free(found) == 16 * GIB - STORE - 8 * GIB
    assert found.reservation("p").placement.shared == BERT
    found.cancel("p")
    assert free(found) == 16 * GIB


def test_a_place_that_waits_for_its_victims_counts_once_they_are_gone():
    found = ledger()
    found.put(placed("victim", "a", 10, 10))
    at = sharing(placed("urgent", "a", 10, 10), BERT).placement
    found.reserve(reservation("urgent", placement=at, victims=frozenset({"victim"})))

    before = free(found)
    found.drop_pod("victim")

    assert (before, free(found)) == (15 * GIB, 16 * GIB - STORE - 7 * GIB)


def test_equal_keys_of_two_namespaces_do_not_share():
    found = ledger()
    found.put(sharing(placed("p", "a", 10, 10), BERT))

    assert fit(found, wants(2 * GIB, BERT)) == "GPU-a"
    assert fit(found, wants(2 * GIB + GIB // 2, BERT.within("other"))) == "GPU-a"
    assert fit(found, wants(2 * GIB + GIB // 2 + 1, BERT.within("other"))) == "GPU memory is full"


def test_shared_keys_are_shared_by_all_namespaces():
    found = ledger()
    common = ModelShare("shared/bert", 12 * GIB, "team")
    found.put(sharing(placed("p", "a", 10, 10), common))

    assert fit(found, wants(2 * GIB, common.within("other"))) == "GPU-a"


def test_a_larger_announcement_asks_for_the_difference():
    found = ledger(store=0)
    found.put(sharing(placed("p", "a", 10, 10), BERT))

    assert fit(found, wants(GIB, ModelShare("bert", 14 * GIB, "team"))) == "GPU-a"
    assert fit(found, wants(2 * GIB, ModelShare("bert", 14 * GIB, "team"))) == "GPU memory is full"


def test_a_pod_without_a_size_counts_with_what_comes_to_be_there():
    """Not from the holders alone: what its store keeps changes while nobody comes or goes."""
    found = ledger(store=0)
    found.put(sharing(placed("p", "a", 10, 10), UNSIZED))
    counted = []
    for kept in ({}, {"team/bert": 6 * GIB}, {"other/bert": 6 * GIB}):
        found.put_resident("a", {"GPU-a": kept})
        counted.append(16 * GIB - free(found))

    assert counted == [GIB, 7 * GIB, GIB]


def test_weights_that_no_pod_announces_take_no_memory():
    """The store gives them up when it is wanted."""
    found = ledger()
    found.put_resident("a", {"GPU-a": {"team/llama": 12 * GIB}})

    assert fit(found, wants(16 * GIB, None)) == "GPU-a"


def test_a_pod_without_a_size_asks_for_what_is_there_already():
    found = ledger(store=0)
    found.put_resident("a", {"GPU-a": {"team/bert": 6 * GIB}})

    assert fit(found, wants(10 * GIB, UNSIZED)) == "GPU-a"
    assert fit(found, wants(10 * GIB + 1, UNSIZED)) == "GPU memory is full"


def test_weights_take_whole_granules():
    found = ledger(store=0)

    assert fit(found, wants(16 * GIB - 2**21, ModelShare("m", 1, "team"))) == "GPU-a"
    assert fit(found, wants(16 * GIB - 2**21 + 1, ModelShare("m", 1, "team"))) != "GPU-a"


@pytest.mark.parametrize(
    ("store", "memory"),
    [(STORE, 16 * GIB - STORE - 6 * GIB), (0, 10 * GIB), (None, 16 * GIB)],
    ids=["a store", "a store that takes nothing", "no store"],
)
def test_a_whole_gpu_can_be_had_beside_the_weights(store, memory):
    """A share of the memory is one of what weights and store leave."""
    answer = ledger(store).fit(wants(None, side=100), "a")

    assert (answer.memory_bytes, answer.has_own_weights) == (memory, store is None)


@pytest.mark.parametrize("store", [STORE, None], ids=["a store", "no store"])
@pytest.mark.parametrize("side", [10, 60], ids=["a small pod", "a large pod"])
def test_the_index_asks_for_a_share_beside_weights_to_the_byte(side, store):
    found = ledger(store)
    request = wants(None, side=side)
    left = 16 * GIB - found.snapshots("a")[0].memory_asked(request)
    answers = []
    for memory in (left, left + 1):
        found.put(placed("rest", "a", 1, 1, memory=memory))
        answers.append(fit(found, request))

    assert answers == ["GPU-a", "GPU memory is full"]


def test_a_pod_on_a_node_without_a_store_has_its_weights_in_its_own_memory():
    found = ledger(store=None)
    candidate = found.fit(wants(), "a")
    at = candidate.placement(wants())

    assert (at.memory_bytes, at.own_weights_bytes, at.shared) == (8 * GIB, 6 * GIB, None)


def test_a_store_that_goes_away_leaves_what_was_promised():
    """Pods that are there share what they have until they end; a new one pays for itself."""
    found = ledger()
    found.put(sharing(placed("p", "a", 10, 10), BERT))
    put_node(found, "a", gpu("GPU-a"))

    assert free(found) == 9 * GIB
    assert fit(found, wants(3 * GIB)) == "GPU-a"
    assert fit(found, wants(3 * GIB + 1)) == "GPU memory is full"


def test_models_that_were_bound_round_us_are_a_problem_of_their_gpu():
    found = ledger()
    found.put(sharing(placed("p", "a", 10, 10), ModelShare("bert", 20 * GIB, "team")))

    (problem,) = found.problems()

    assert problem.kind is ProblemKind.MEMORY
    assert problem.text.startswith(f"its pods and their models may use {21 * GIB + STORE} bytes")
    assert fit(found, wants(1, None)) == "GPU memory is full"


def test_affinity_goes_where_a_pod_announces_the_model_though_nothing_is_loaded_yet():
    found = Ledger()
    for node in "abc":
        put_node(found, node, gpu(f"GPU-{node}", store_bytes=STORE))
    found.put(sharing(placed("p", "b", 10, 10), BERT))
    found.put(placed("q", "a", 50, 50))

    orders = [
        [each.node for each in found.rank(wants(), list("abc"), 3, preference).candidates]
        for preference in (Preference(), Preference("affinity", "team/bert"))
    ]

    assert orders == [["a", "b", "c"], ["b", "a", "c"]]


@pytest.mark.parametrize("policy", ["binpack", "spread"])
def test_of_gpus_worth_the_same_the_one_wins_that_has_the_model(policy):
    """It is an unused one whose store still keeps the weights, most often."""
    found = Ledger()
    for node in "abc":
        put_node(
            found, node, gpu(f"GPU-{node}-0", store_bytes=0), gpu(f"GPU-{node}", store_bytes=0)
        )
    found.put_resident("b", {"GPU-b": {"team/bert": GIB}})

    first = found.rank(wants(), list("abc"), 3, Preference(policy)).candidates[0]
    plain = found.rank(wants(model=None), list("abc"), 3, Preference(policy)).candidates[0]

    assert (first.node, first.gpu_uuid) == ("b", "GPU-b")
    assert (plain.node, plain.gpu_uuid) == ("a", "GPU-a-0")


def test_many_models_are_each_found_where_they_are():
    """More than the columns that are kept."""
    found = Ledger()
    put_node(found, "a", *(gpu(f"GPU-{index}", store_bytes=0) for index in range(40)))
    for index in range(40):
        share = ModelShare(f"m{index}", 15 * GIB, "team")
        found.put(sharing(placed(f"p{index}", "a", 10, 10, gpu=f"GPU-{index}", memory=1), share))

    for _ in range(2):
        for index in range(40):
            share = ModelShare(f"m{index}", 15 * GIB, "team")
            assert fit(found, wants(GIB - 1, share)) == f"GPU-{index}"
