"""What is inconsistent shuts one GPU, is told, and harms nobody else."""

import pytest
from tests.support.ledgers import (
    GIB,
    asks,
    fit,
    gpu,
    ledger_of,
    placed,
    put_node,
    reserve_best,
    unplaced,
)

from gshare.ledger import Ledger, ProblemKind, RefusalKind


def kinds(ledger: Ledger) -> list[ProblemKind]:
    return [problem.kind for problem in ledger.problems()]


def test_placements_that_conflict_shut_their_gpu_alone():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a"), gpu("GPU-a2"))
    put_node(ledger, "b")
    for name in ("p", "q"):
        ledger.put(placed(name, quota=60, sm=60))

    assert fit(ledger, asks(quota=5, sm=5)) == "GPU-a2"
    assert fit(ledger, asks(), "b") == "GPU-b"
    (problem,) = ledger.problems()
    assert (problem.kind, problem.gpu_uuid) == (ProblemKind.CONFLICT, "GPU-a")
    assert set(problem.pods) == {"p", "q"}


def test_a_conflict_is_over_when_one_of_them_is_gone():
    ledger = ledger_of()
    for name in ("p", "q"):
        ledger.put(placed(name, quota=60, sm=60))
    during = fit(ledger, asks(quota=5, sm=5))

    ledger.drop_pod("p")

    assert during == RefusalKind.CONFLICT
    assert fit(ledger, asks(quota=5, sm=5)) == "GPU-a"
    assert ledger.problems() == ()


def test_a_gpu_in_conflict_still_shows_who_had_a_place():
    ledger = ledger_of()
    ledger.put(placed("p", quota=60, sm=60))
    assert ledger.problems() == ()

    ledger.put(placed("q", quota=60, sm=60))

    assert ledger.snapshots("a")[0].layout.keys == ("p",)


def test_a_placement_on_a_gpu_that_vanished_is_told_and_counts_in_the_sums():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a"), units=100)
    ledger.put(placed("p", gpu="GPU-gone", quota=60, sm=60))

    (problem,) = ledger.problems()
    assert (problem.kind, problem.pods) == (ProblemKind.VANISHED, ("p",))
    assert fit(ledger, asks(quota=40, sm=40)) == "GPU-a"
    assert fit(ledger, asks(quota=41, sm=40)) == RefusalKind.UNITS


def test_a_gpu_that_comes_back_has_its_pods_again():
    ledger = ledger_of()
    ledger.put(placed("p", quota=100, sm=100))
    put_node(ledger, "a", gpu("GPU-other"))
    while_gone = kinds(ledger)

    put_node(ledger, "a")

    assert while_gone == [ProblemKind.VANISHED]
    assert fit(ledger, asks()) == RefusalKind.FULL
    assert ledger.problems() == ()


def test_a_pod_without_a_placement_is_told():
    ledger = ledger_of()

    ledger.put(unplaced("astray"))

    (problem,) = ledger.problems()
    assert (problem.kind, problem.pods, problem.text) == (
        ProblemKind.UNPLACED,
        ("astray",),
        "has no placement",
    )


def test_an_inventory_that_cannot_be_read_takes_nothing_and_blames_no_pod():
    ledger = ledger_of()
    ledger.put(placed("p"))

    ledger.put_node("a", (), 1600, 1600, "annotation gshare.io/gpus is not JSON")

    assert fit(ledger, asks()) == RefusalKind.NO_GPU
    assert kinds(ledger) == [ProblemKind.INVENTORY]


def test_memory_and_clients_beyond_the_gpu_are_told():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-a", max_clients=1))
    for name in ("p", "q"):
        ledger.put(placed(name, memory=9 * GIB))

    assert kinds(ledger) == [ProblemKind.MEMORY, ProblemKind.CLIENTS]


def test_a_gpu_that_shrank_below_its_pods_takes_nothing():
    ledger = ledger_of()
    ledger.put(placed("p", memory=9 * GIB))

    put_node(ledger, "a", gpu("GPU-a", memory_bytes=8 * GIB))

    assert fit(ledger, asks(memory=1)) == RefusalKind.MEMORY


def twice() -> Ledger:
    """Return a ledger in which nodes a and b list the same GPU, and each has one of its own."""
    ledger = Ledger()
    for name in ("a", "b"):
        put_node(ledger, name, gpu("GPU-x"), gpu(f"GPU-{name}"))
    return ledger


def test_a_gpu_that_two_nodes_list_is_told_of_both_and_takes_nothing():
    ledger = twice()
    ledger.put(placed("p", gpu="GPU-x", quota=10, sm=10))

    found = ledger.problems()

    assert [(each.kind, each.node, each.gpu_uuid, each.pods) for each in found] == [
        (ProblemKind.DOUBLED, "a", "GPU-x", ("p",)),
        (ProblemKind.DOUBLED, "b", "GPU-x", ()),
    ]
    assert found[0].text.startswith("is listed by b too")
    assert fit(ledger, asks(quota=100, sm=100)) == "GPU-a"
    assert fit(ledger, asks(quota=100, sm=100), "b") == "GPU-b"
    assert [each.snapshot.gpu.uuid for each in ledger.grounds(["a", "b"])] == ["GPU-a", "GPU-b"]


def test_a_node_with_no_other_gpu_than_a_doubled_one_says_so():
    ledger = Ledger()
    for name in ("a", "b"):
        put_node(ledger, name, gpu("GPU-x"))

    assert fit(ledger, asks()) == RefusalKind.DOUBLED


@pytest.mark.parametrize("goes", ["node", "listing"])
def test_a_gpu_that_one_node_lists_again_is_used_again(goes):
    ledger = twice()
    ledger.put(placed("p", "b", gpu="GPU-x"))
    ledger.settle()

    if goes == "node":
        ledger.drop_node("a")
    else:
        put_node(ledger, "a", gpu("GPU-a"))

    assert ledger.problems() == ()
    assert fit(ledger, asks(quota=100, sm=88), "b") == "GPU-x"


def test_a_place_on_a_gpu_that_became_doubled_is_not_kept():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-x"))
    assert reserve_best(ledger, asks("new"), ["a"]) == "a/GPU-x"

    put_node(ledger, "b", gpu("GPU-x"))

    assert not ledger.is_sound("new")


def test_of_three_nodes_that_list_a_gpu_two_are_too_many():
    ledger = Ledger()
    for name in ("a", "b", "c"):
        put_node(ledger, name, gpu("GPU-x"))
    ledger.settle()

    ledger.drop_node("a")
    assert [each.node for each in ledger.problems()] == ["b", "c"]

    ledger.drop_node("b")
    assert ledger.problems() == ()
    assert fit(ledger, asks(), "c") == "GPU-x"
