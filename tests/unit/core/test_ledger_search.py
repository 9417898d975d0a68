"""Which GPUs of a node a search offers, and in which order."""

from tests.support.ledgers import asks, gpu, placed, put_node

from gshare.ledger import Ledger
from gshare.ledger.judging import Asked
from gshare.ledger.search import Search
from gshare.policies import Preference

PARTED = [(40, 12), (40, 12), (60, 50), (40, 24), (40, 24), (40, 12), (40, 12)]
"""In this order they leave room for one more 60 by 50 only in a new layout."""


def parted_node(count):
    """Return a ledger of one node of so many GPUs, each in need of a new layout."""
    ledger = Ledger()
    put_node(ledger, "a", *(gpu(f"GPU-{index}") for index in range(count)), units=10_000)
    for index in range(count):
        for turn, (quota, sm) in enumerate(PARTED):
            ledger.put(placed(f"p{index}-{turn}", "a", quota, sm, gpu=f"GPU-{index}"))
            ledger.settle()
    return ledger


def offered(ledger, request):
    """Return the planes of the GPUs that are offered for a new layout."""
    ledger.settle()
    board = ledger._boards.of(Asked.by(request, Preference()))
    search = Search(ledger._index, board, ledger._index.view(["a"]))
    options = iter(search.next, None)
    return [option.plane for option in options if option.is_relaid]


def test_at_most_eight_gpus_of_a_node_are_offered_for_a_new_layout():
    ledger = parted_node(10)

    assert offered(ledger, asks(quota=60, sm=50)) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_node_of_nine_such_gpus_offers_eight():
    ledger = parted_node(9)

    assert len(offered(ledger, asks(quota=60, sm=50))) == 8


def test_the_fullest_of_them_are_those_that_are_offered():
    ledger = parted_node(10)
    for index in (8, 9):
        ledger.put(placed(f"small{index}", "a", 1, 1, gpu=f"GPU-{index}"))

    assert offered(ledger, asks(quota=60, sm=50)) == [8, 9, 0, 1, 2, 3, 4, 5]
