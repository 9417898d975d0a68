"""Where a function that announces a model is put, and what is said where it finds no room."""

import pytest
from tests.support.gpus import GIB, gpu

from gshare import placement
from gshare.layout import Layout
from gshare.models import ModelShare
from gshare.modes import RECT, Packer
from gshare.placement import Placement, Refusal, Request, Snapshot
from gshare.rectangles import Rectangle

BERT = ModelShare("bert", 6 * GIB, "team")
STORE = GIB // 2
OTHER = (("p", Rectangle(0, 0, 10, 10)),)


def wants(key="new", memory=2 * GIB, model=BERT, side=10):
    return Request(key, side, side, memory, model)


def unused(uuid="GPU-0", store=STORE, **changes):
    return Snapshot(gpu(uuid, store_bytes=store), **changes)


def sharing(uuid="GPU-0", model=BERT, memory=2 * GIB, store=STORE):
    """Return a GPU with one function on it, which shares `model`."""
    shares = (("p", model),) if model else ()
    return unused(uuid, store, layout=Layout(OTHER), memory=(("p", memory),), shares=shares)


def place_all(gpus, *requests):
    return placement.place_all(gpus, requests, Packer(RECT))


def choose(gpus, asked):
    return placement.choose(gpus, asked, Packer(RECT))


@pytest.mark.parametrize(
    ("store", "count"), [(STORE, 4), (None, 2)], ids=["with a store", "without"]
)
def test_a_set_that_fits_only_with_sharing_is_placed_and_not_without(store, count):
    plan = place_all([unused(store=store)], *(wants(f"p{index}") for index in range(4)))

    assert len(plan.placements) == count


def test_a_placement_shares_its_model_where_there_is_a_store():
    with_store, without = (choose([unused(store=each)], wants()) for each in (STORE, None))

    assert (with_store.memory_bytes, with_store.after.shares) == (2 * GIB, (("new", BERT),))
    assert (without.memory_bytes, without.after.shares) == (8 * GIB, ())


def test_weights_leave_with_the_last_who_shares_them():
    first = choose([unused()], wants("p")).after
    both = choose([first], wants("q")).after

    one = placement.release(both, "p")

    assert one.memory_free_bytes == first.memory_free_bytes == 16 * GIB - STORE - 8 * GIB
    assert placement.release(one, "q") == unused()


def test_ties_go_to_the_gpu_that_has_the_model():
    loaded = unused("loaded", resident={"team/bert": 6 * GIB})

    announced = choose([sharing("first", None), sharing("second")], wants())
    resident = choose([unused("first"), loaded], wants())
    plain = choose([unused("first"), loaded], wants(model=None))

    uuids = [each.gpu_uuid for each in (announced, resident, plain)]
    assert uuids == ["second", "loaded", "first"]


def test_a_new_layout_is_tried_on_a_gpu_that_has_the_model_before_an_equal_one():
    """Both are full to the same area, and only the first has room as it lies."""
    corner = Layout((("p", Rectangle(0, 0, 50, 50)),))
    middle = Layout((("p", Rectangle(25, 25, 50, 50)),))
    lies = unused("lies", layout=corner, memory=(("p", GIB),))
    stuck = unused("stuck", layout=middle, memory=(("p", GIB),), shares=(("p", BERT),))

    asks = {"side": 50, "memory": GIB}
    answers = [choose([lies, stuck], wants(model=each, **asks)) for each in (BERT, None)]

    assert [(each.gpu_uuid, each.is_relaid) for each in answers] == [
        ("stuck", True),
        ("lies", False),
    ]


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        pytest.param(
            [sharing(memory=12 * GIB, model=None)],
            "2Gi of memory and 6.5Gi for the weights of team/bert; nearest",
            id="weights that are not there",
        ),
        pytest.param(
            [sharing(memory=8 * GIB)],
            "2Gi of memory (the weights of team/bert are there for others); nearest",
            id="weights that are there",
        ),
        pytest.param(
            [sharing(memory=12 * GIB, model=None, store=None)],
            "8Gi of memory (6Gi of weights in it, as there is no model store); nearest",
            id="no store",
        ),
    ],
)
def test_a_refusal_says_what_the_weights_would_add(gpus, said):
    answer = choose(gpus, wants())

    assert isinstance(answer, Refusal)
    assert said in answer.text
    assert "has too little memory free" in answer.text


def test_shares_of_functions_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="GPU-0: layout and shares name different functions"):
        unused(shares=(("ghost", BERT),))


def test_placement_needs_no_store_for_who_announces_nothing():
    assert isinstance(choose([unused(store=None)], wants(model=None)), Placement)
