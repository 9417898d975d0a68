"""Layouts of whole sets: bounds, search, memory of packer."""

import itertools
from dataclasses import replace

import pytest
from tests.support.gpus import PAPER

from gshare import bounds, layout, packing
from gshare.layout import Layout
from gshare.modes import RECT, Packer
from gshare.rectangles import Rectangle, Size

PAIR = Layout((("bert", Rectangle(0, 0, 60, 50)), ("resnet", Rectangle(60, 10, 40, 12))))


def test_a_layout_cannot_hold_rectangles_that_overlap():
    with pytest.raises(ValueError, match="resnet overlaps another function"):
        Layout((("bert", Rectangle(0, 0, 60, 50)), ("resnet", Rectangle(50, 40, 40, 12))))


def test_a_layout_cannot_hold_a_key_twice():
    with pytest.raises(ValueError, match="twice"):
        Layout((("bert", Rectangle(0, 0, 60, 50)), ("bert", Rectangle(60, 0, 40, 12))))


def test_a_rectangle_is_one_slice_at_its_phase_as_wide_as_its_quota():
    assert PAIR.slices("resnet") == ((60, 40),)


def test_a_key_that_is_not_placed_has_no_slices():
    with pytest.raises(KeyError, match="gnmt"):
        PAIR.slices("gnmt")


def test_a_departure_leaves_the_others_in_place():
    assert PAIR.without("bert").places == PAIR.places[1:]


def test_a_departure_of_a_stranger_is_refused():
    with pytest.raises(KeyError, match="gnmt"):
        PAIR.without("gnmt")


def test_an_arrival_stands_last_and_the_others_stay():
    after = PAIR.adding("rnnt", Rectangle(0, 50, 40, 24))

    assert after.places == (*PAIR.places, ("rnnt", Rectangle(0, 50, 40, 24)))
    assert after.keys == ("bert", "resnet", "rnnt")
    assert after.sizes == (Size(60, 50), Size(40, 12), Size(40, 24))
    assert after.used_area == 4_440


def test_space_shows_what_is_free_in_a_layout():
    assert PAIR.space == packing.Space.holding([place for _, place in PAIR.places])


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([Size(80, 80), Size(80, 80)], id="more area than a GPU"),
        pytest.param([Size(60, 60), Size(60, 60)], id="both above half of both sides"),
        pytest.param([Size(51, 51), Size(50, 51)], id="SMs above half, 101 percent of the time"),
        pytest.param([Size(51, 51), Size(51, 50)], id="time above half, 101 percent of the SMs"),
        pytest.param([Size(60, 80), Size(41, 50)], id="one percent too wide and too high"),
        pytest.param([Size(60, 50), Size(60, 50), Size(80, 50)], id="area of exactly one GPU"),
    ],
)
def test_bounds_prove_that_a_set_fits_no_gpu(sizes):
    assert bounds.is_impossible(sizes)
    assert layout.find(sizes) is None


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([], id="nothing"),
        pytest.param([Size(100, 100)], id="a whole GPU"),
        pytest.param([Size(50, 50)] * 4, id="four quarters"),
        pytest.param([Size(50, 51), Size(50, 51)], id="side by side"),
        pytest.param(list(PAPER), id="the paper's functions"),
    ],
)
def test_bounds_prove_nothing_of_a_set_that_fits(sizes):
    assert not bounds.is_impossible(sizes)
    assert layout.find(sizes) is not None


def test_a_set_may_have_no_layout_though_no_bound_proves_it():
    # Time intervals exist for this set (PACKING, condition R2), rectangles do not.
    sizes = [
        *(Size(20, 40), Size(50, 20), Size(20, 50), Size(20, 30)),
        *(Size(60, 60), Size(40, 20), Size(40, 10), Size(30, 50)),
    ]

    assert not bounds.is_impossible(sizes)
    assert layout.find(sizes) is None


def test_the_papers_functions_are_laid_out_alike_in_every_order_of_arrival():
    orders = set(itertools.permutations(PAPER))

    layouts = {tuple(sorted(layout.find(order) or ())) for order in orders}

    assert len(orders) == 420
    assert len(layouts) == 1
    assert sum(rectangle.area for rectangle in layouts.pop()) == 9_840


def test_arrange_gives_each_key_a_rectangle_of_its_size_in_the_order_of_the_keys():
    sizes = {"bert": Size(60, 50), "resnet": Size(40, 12), "rnnt": Size(40, 24)}

    arranged = Packer(RECT).arrange(sizes)

    assert arranged is not None
    assert dict(zip(arranged.keys, arranged.sizes, strict=True)) == sizes
    assert arranged.keys == tuple(sizes)


def test_arrange_finds_no_layout_for_a_set_that_has_none():
    assert Packer(RECT).arrange({"a": Size(60, 60), "b": Size(60, 60)}) is None


def test_a_verdict_is_remembered_by_multiset_whatever_the_keys():
    packer = Packer(RECT)

    first = packer.arrange({"a": Size(60, 50), "b": Size(40, 12)})
    second = packer.arrange({"c": Size(40, 12), "d": Size(60, 50)})

    assert len(packer) == 1
    assert first is not None
    assert second is not None
    assert first.rectangle("a") == second.rectangle("d")


def counting(asked):
    """Return rectangles, whose searches note in `asked` what they were asked."""

    def noting(search):
        def find(sizes):
            asked.append((search.__name__, sizes))
            return search(sizes)

        return find

    return replace(RECT, find=noting(layout.find), find_longer=noting(layout.find_longer))


def test_a_packer_forgets_what_was_used_least_recently():
    asked = []
    packer = Packer(counting(asked), capacity=2)

    for width in (10, 20, 10, 30, 10, 20):
        packer.holds([Size(width, 1)])

    assert [sizes[0].width for _, sizes in asked] == [10, 20, 30, 20]


# What random arrivals and departures once left on a GPU; `find` misses its layout.
MISSED = (
    *[Size(10, 50)] * 2,
    Size(20, 12),
    *[Size(25, 25)] * 4,
    *[Size(30, 20)] * 3,
    *[Size(40, 12)] * 3,
    *[Size(40, 24)] * 2,
)
MISSED_BY_KEY = {f"f{index}": size for index, size in enumerate(MISSED)}


def test_the_longer_search_finds_what_the_first_one_misses():
    assert layout.find(MISSED) is None

    places = layout.find_longer(MISSED)

    assert places is not None
    assert [place.size for place in places] == list(MISSED)
    assert packing.Space.holding(places).used_area == sum(size.area for size in MISSED)


def test_the_longer_search_gives_up_at_once_on_what_is_impossible():
    assert layout.find_longer([Size(60, 60), Size(60, 60)]) is None


def test_what_stands_on_a_gpu_is_settled_without_knowing_its_places():
    arranged = Packer(RECT).settled(Layout(), MISSED_BY_KEY)

    assert arranged is not None
    assert dict(zip(arranged.keys, arranged.sizes, strict=True)) == MISSED_BY_KEY


def test_a_new_function_settles_beside_the_others_where_no_whole_layout_is_found():
    whole = Packer(RECT).settled(Layout(), MISSED_BY_KEY)
    assert whole is not None
    before = whole.without("f2")

    arranged = Packer(RECT).settled(before, MISSED_BY_KEY)

    assert arranged == Layout((*before.places, ("f2", whole.rectangle("f2"))))


def test_a_packer_remembers_the_longer_search_too():
    asked = []
    packer = Packer(counting(asked))

    assert all(packer.holds(MISSED, search_longer=True) for _ in range(2))

    assert [name for name, _ in asked] == ["find", "find_longer"]
