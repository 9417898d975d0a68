"""Choice of a GPU, and what a refusal says."""

import itertools

import pytest
from tests.support import oracle
from tests.support.gpus import GIB, PAPER, gpu, request, requests_for, snapshot

from gshare import placement
from gshare.layout import Layout
from gshare.modes import RECT, SLICED, Packer
from gshare.placement import Placement, Refusal, Request, Snapshot
from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size
from gshare.sliced import Share, SlicedLayout

BERT = Rectangle(0, 0, 60, 50)
HALF = Rectangle(0, 0, 50, 100)


def choose(gpus: list[Snapshot], asked: Request) -> Placement | Refusal:
    return placement.choose(gpus, asked, Packer(RECT))


def placed(gpus: list[Snapshot], asked: Request) -> Placement:
    answer = choose(gpus, asked)
    assert isinstance(answer, Placement), answer
    return answer


def refused(gpus: list[Snapshot], asked: Request) -> str:
    answer = choose(gpus, asked)
    assert isinstance(answer, Refusal), answer
    return answer.text


def test_a_function_goes_where_the_best_short_side_fit_leaves_least():
    loose, tight = snapshot("loose", ("a", BERT)), snapshot("tight", ("b", HALF))

    answer = placed([loose, tight], request("c", sm=60, quota=50))

    assert (answer.gpu_uuid, answer.pieces) == ("tight", (Rectangle(50, 0, 50, 60),))
    assert not answer.is_relaid


def test_ties_go_to_the_most_used_gpu():
    less = snapshot("less", ("a", Rectangle(0, 0, 60, 60)))
    more = snapshot("more", ("b", Rectangle(0, 0, 60, 90)))

    answer = placed([less, more], request("c", sm=50, quota=40))

    assert answer.gpu_uuid == "more"


def test_among_equals_the_first_gpu_is_taken():
    answer = placed([snapshot("first"), snapshot("second")], request())

    assert answer.gpu_uuid == "first"


def test_an_unused_gpu_is_opened_only_where_no_used_one_has_room():
    used = snapshot("used", ("a", Rectangle(0, 0, 10, 10)))

    answer = placed([snapshot("unused"), used], request("b", sm=80, quota=80))

    assert answer.gpu_uuid == "used"


# (60,50) in the middle leaves nothing 60 by 50, though both fit one GPU.
STUCK = snapshot("stuck", ("a", Rectangle(20, 25, 60, 50)))


def test_a_gpu_is_laid_out_anew_before_an_unused_one_is_opened():
    answer = placed([snapshot("unused"), STUCK], request("b", sm=50, quota=60))

    assert answer.gpu_uuid == "stuck"
    assert answer.is_relaid
    assert answer.after.layout.keys == ("a", "b")
    assert [piece.size for piece in answer.pieces] == [Size(60, 50)]


def test_a_gpu_is_laid_out_anew_before_an_emptier_one_is_used():
    emptier = snapshot("emptier", ("c", Rectangle(0, 0, 10, 10)))

    answer = placed([emptier, STUCK], request("b", sm=50, quota=60))

    assert answer.gpu_uuid == "stuck"


def test_a_fuller_gpu_that_has_room_but_fits_worse_is_left_as_it_is():
    fuller = snapshot("fuller", ("a", Rectangle(0, 0, 55, 100)))
    fitting = snapshot("fitting", ("b", BERT))

    answer = placed([fuller, fitting], request("c", sm=60, quota=40))

    assert answer.gpu_uuid == "fitting"
    assert not answer.is_relaid


def test_a_gpu_without_a_layout_for_all_stays_as_it_is():
    answer = placed([snapshot("unused"), STUCK], request("b", sm=51, quota=60))

    assert answer.gpu_uuid == "unused"


def test_the_snapshot_afterwards_holds_the_function_and_its_memory():
    before = snapshot("gpu", ("a", BERT))

    after = placed([before], request("b", memory=2 * GIB)).after

    assert after.memory == (("a", GIB), ("b", 2 * GIB))
    assert after.memory_free_bytes == before.memory_free_bytes - 2 * GIB
    assert after.clients_free == before.clients_free - 1


def test_a_placed_key_cannot_be_placed_again():
    with pytest.raises(ValueError, match="placed already"):
        choose([snapshot("gpu", ("a", BERT))], request("a"))


@pytest.mark.parametrize(
    "barred",
    [
        pytest.param(snapshot("barred", is_healthy=False), id="not healthy"),
        pytest.param(snapshot("barred", ("x", Rectangle(0, 0, 1, 1)), max_clients=1), id="clients"),
        pytest.param(snapshot("barred", memory_bytes=GIB - 1), id="memory"),
    ],
)
def test_a_hard_constraint_bars_a_gpu_that_has_room(barred):
    answer = placed([barred, snapshot("free")], request())

    assert answer.gpu_uuid == "free"


@pytest.mark.parametrize(
    ("sm", "quota", "expected"),
    [
        pytest.param(12, 40, GIB, id="at least a gibibyte"),
        pytest.param(50, 60, 16 * GIB * 30 // 100, id="the share of the rectangle"),
        pytest.param(100, 100, 16 * GIB, id="all of the card"),
    ],
)
def test_memory_that_is_not_given_is_the_rectangles_share(sm, quota, expected):
    assert placed([snapshot()], request(sm=sm, quota=quota, memory=None)).memory_bytes == expected


@pytest.mark.parametrize(
    ("gpus", "reason"),
    [
        pytest.param([], "there is no GPU", id="no GPU"),
        pytest.param(
            [snapshot("GPU-1", ("x", HALF))],
            "nearest is GPU-1 (of 1), which has no room for that rectangle: free there are "
            "100 % of the SMs for 50 % of the time, 15Gi of memory, 47 clients",
            id="no rectangle",
        ),
        pytest.param(
            [snapshot("GPU-1", ("x", GPU_RECTANGLE))], "free there are no rectangle", id="full"
        ),
        pytest.param([snapshot(memory_bytes=GIB // 2)], "too little memory free", id="memory"),
        pytest.param([snapshot(is_healthy=False)], "is not healthy", id="health"),
        pytest.param([snapshot(max_clients=0)], "all of its 0 MPS clients", id="clients"),
    ],
)
def test_a_refusal_says_what_is_asked_and_what_is_free(gpus, reason):
    text = refused(gpus, request("resnet-3", sm=12, quota=60))

    assert text.startswith("resnet-3 asks for 12 % of the SMs for 60 % of the time")
    assert reason in text
    assert "\n" not in text


def test_a_refusal_names_the_gpu_that_comes_closest():
    far, near = snapshot("far", ("x", GPU_RECTANGLE)), snapshot("near", ("y", HALF))

    assert "near (of 2), which has no room" in refused([far, near], request(sm=12, quota=60))


def test_a_request_outside_the_gpu_cannot_exist():
    with pytest.raises(ValueError, match="1-100"):
        request(sm=101)


def test_a_snapshot_whose_memory_names_other_functions_cannot_exist():
    with pytest.raises(ValueError, match="different functions"):
        Snapshot(gpu(), Layout((("a", BERT),)), (("b", GIB),))


def test_release_gives_back_rectangle_memory_and_client_and_moves_no_one():
    before = snapshot("gpu", ("a", BERT), ("b", Rectangle(60, 10, 40, 12)))

    after = placement.release(before, "a")

    assert after == snapshot("gpu", ("b", Rectangle(60, 10, 40, 12)))


def test_release_of_a_stranger_is_refused():
    with pytest.raises(KeyError, match="b"):
        placement.release(snapshot("gpu", ("a", BERT)), "b")


def test_the_papers_functions_share_one_gpu_in_every_order_of_arrival():
    packer = Packer(RECT)
    orders = set(itertools.permutations(PAPER))

    for order in orders:
        gpus = [snapshot("GPU-0"), snapshot("GPU-1")]
        for asked in requests_for(order):
            answer = placement.choose(gpus, asked, packer)
            assert isinstance(answer, Placement)
            assert answer.gpu_uuid == "GPU-0"
            gpus[0] = answer.after

    assert len(orders) == 420


def test_place_all_puts_the_papers_functions_on_one_gpu():
    plan = placement.place_all(
        [snapshot("GPU-0"), snapshot("GPU-1")], requests_for(PAPER), Packer(RECT)
    )

    assert {answer.gpu_uuid for answer in plan.placements} == {"GPU-0"}
    assert plan.gpus[0].layout.used_area == 9_840
    assert plan.refusals == ()


def test_place_all_does_not_depend_on_the_order_of_requests():
    asked = requests_for((Size(60, 50), Size(40, 12), Size(70, 60), Size(40, 24)))

    forward = placement.place_all([snapshot()], asked, Packer(RECT))
    backward = placement.place_all([snapshot()], asked[::-1], Packer(RECT))

    assert forward == backward


def test_place_all_refuses_what_does_not_fit_and_places_the_rest():
    asked = [request("large", 100, 80), request("larger", 100, 90), request("small", 100, 10)]

    plan = placement.place_all([snapshot()], asked, Packer(RECT))

    assert [refusal.request.key for refusal in plan.refusals] == ["large"]
    assert plan.gpus[0].layout.keys == ("larger", "small")


PAIRWISE = (Size(60, 50), Size(60, 50), Size(80, 50))


def test_slices_hold_what_no_rectangles_hold():
    asked = requests_for(PAIRWISE)

    rect = placement.place_all([snapshot()], asked, Packer(RECT))
    plan = placement.place_all([Snapshot(gpu(), SLICED.empty)], asked, Packer(SLICED))

    assert len(rect.refusals) == 1
    assert plan.refusals == ()
    assert plan.gpus[0].layout.used_area == GPU_RECTANGLE.area
    assert oracle.violations(plan.gpus[0].layout) == []


def test_all_pieces_of_a_sliced_function_are_told():
    standing = SlicedLayout((("a", Share(60, ((20, 20), (60, 20)))),))
    before = Snapshot(gpu(), standing, (("a", GIB),))

    answer = placement.choose([before], request("b", sm=50, quota=50), Packer(SLICED))

    assert isinstance(answer, Placement)
    assert sum(piece.width for piece in answer.pieces) == 50
    assert {piece.height for piece in answer.pieces} == {50}


def test_others_that_get_other_slices_are_told_of():
    scattered = tuple((10 * start, 5) for start in range(8))
    before = Snapshot(gpu(), SlicedLayout((("a", Share(60, scattered)),)), (("a", GIB),))

    answer = placement.choose([before], request("b", sm=50, quota=60), Packer(SLICED))

    assert isinstance(answer, Placement)
    assert answer.is_relaid
    assert answer.after.layout.slices("a") != scattered


def test_a_refusal_in_slices_names_what_is_free_of_the_window():
    before = Snapshot(gpu(), SlicedLayout((("a", Share(60, ((20, 20), (60, 20)))),)), (("a", GIB),))

    answer = placement.choose([before], request("b", sm=50, quota=70), Packer(SLICED))

    assert isinstance(answer, Refusal)
    assert "100 % of the SMs for 60 % of the time" in answer.text
