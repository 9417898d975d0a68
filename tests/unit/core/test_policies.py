"""Which GPU each policy prefers."""

import pytest
from tests.support.ledgers import GIB, asks, gpu, placed, put_node

from gshare.ledger import Ledger
from gshare.policies import Preference


@pytest.fixture
def ledger():
    """Return nodes a (idle, with bert), b (half used) and c (a quarter used, with bert)."""
    found = Ledger()
    for node in "abc":
        put_node(found, node, gpu(f"GPU-{node}"))
    found.put(placed("half", "b", 100, 50))
    found.put(placed("quarter", "c", 50, 50))
    for node in "ac":
        found.put_resident(node, {f"GPU-{node}": {"bert": GIB}})
    return found


@pytest.mark.parametrize(
    ("preference", "order"),
    [
        (Preference(), "bca"),
        (Preference("spread"), "acb"),
        (Preference("affinity", "bert"), "cab"),
        (Preference("affinity", "llama"), "bca"),
        (Preference("affinity"), "bca"),
    ],
    ids=["binpack", "spread", "affinity", "affinity to an absent model", "affinity to no model"],
)
def test_a_policy_orders_the_nodes(ledger, preference, order):
    ranking = ledger.rank(asks(), list("abc"), 3, preference)

    assert "".join(each.node for each in ranking.candidates) == order


def test_within_a_node_affinity_prefers_the_gpu_that_has_the_model():
    ledger = Ledger()
    put_node(ledger, "a", gpu("GPU-0"), gpu("GPU-1"))
    ledger.put(placed("p", "a", 50, 50, gpu="GPU-0"))
    ledger.put_resident("a", {"GPU-1": {"bert": 0}})

    answers = [
        ledger.fit(asks(memory=GIB), "a", Preference("affinity", model)).gpu_uuid
        for model in ("bert", "llama")
    ]

    assert answers == ["GPU-1", "GPU-0"]


def test_models_that_have_left_a_gpu_attract_nobody(ledger):
    for node in "ac":
        ledger.put_resident(node, {})

    ranking = ledger.rank(asks(), list("abc"), 3, Preference("affinity", "bert"))

    assert [each.node for each in ranking.candidates] == ["b", "c", "a"]


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'best': must be one of binpack, spread, affinity"):
        Preference("best")
