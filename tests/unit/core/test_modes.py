"""Rectangles and slices behind one interface: what each holds, and what it refuses."""

import itertools

import pytest
from tests.support import oracle

from gshare import exact, modes, staircase
from gshare.layout import Layout
from gshare.modes import RECT, SLICED, Packer, Settler
from gshare.rectangles import Rectangle, Size
from gshare.sliced import Share, SlicedLayout

PAPER = (*[Size(40, 12)] * 4, *[Size(40, 24)] * 2, *[Size(60, 50)] * 2)
PAIRWISE = (Size(60, 50), Size(60, 50), Size(80, 50))
EACH_MODE = pytest.mark.parametrize("mode", [RECT, SLICED], ids=lambda mode: mode.name)


def named(sizes):
    return {f"f{number}": size for number, size in enumerate(sizes)}


def arriving(mode, sizes):
    """Return the timetable after `sizes` came one by one, laid out anew where there is no room."""
    packer, current = Packer(mode), mode.empty
    for number, size in enumerate(sizes):
        key = f"f{number}"
        asked = {**dict(zip(current.keys, current.sizes, strict=True)), key: size}
        current = current.beside(key, size) or packer.arrange(asked)
        assert current is not None
    return current


@EACH_MODE
def test_the_papers_eight_functions_fit_one_gpu_in_every_order(mode):
    for order in sorted(set(itertools.permutations(PAPER))):
        assert arriving(mode, order).used_area == 9840


def test_only_slices_hold_three_halves_that_pair_up():
    assert not Packer(RECT).holds(PAIRWISE)

    timetable = Packer(SLICED).arrange(named(PAIRWISE))

    assert timetable.used_area == 10_000
    assert oracle.violations(timetable) == []
    assert sorted(len(timetable.slices(key)) for key in timetable.keys) == [1, 1, 2]


@EACH_MODE
def test_area_alone_admits_nothing(mode):
    assert not Packer(mode).holds([Size(60, 60), Size(60, 60)])


@EACH_MODE
def test_an_empty_gpu_fits_everything(mode):
    assert mode.empty.profile == bytes([100] * 101)
    assert mode.empty.fits(Size(100, 100))
    assert mode.empty.pieces == ()


@EACH_MODE
def test_a_full_gpu_fits_nothing(mode):
    full = mode.empty.beside("f", Size(100, 100))

    assert full.profile == bytes([100] + [0] * 100)
    assert full.beside("g", Size(1, 1)) is None


@EACH_MODE
def test_a_function_that_is_not_there_cannot_leave(mode):
    with pytest.raises(KeyError):
        mode.empty.without("f")


@EACH_MODE
def test_what_settles_with_a_changed_size_is_laid_out_anew(mode):
    before = arriving(mode, [Size(50, 50), Size(50, 50)])

    after = Packer(mode).settled(before, {"f0": Size(50, 50), "f1": Size(100, 50)})

    assert after.sizes == (Size(50, 50), Size(100, 50))
    assert oracle.violations(after) == []


@EACH_MODE
def test_what_no_timetable_holds_does_not_settle(mode):
    before = arriving(mode, [Size(60, 60)])

    assert Packer(mode).settled(before, named([Size(60, 60)] * 2)) is None


@EACH_MODE
def test_others_go_beside_those_that_stay(mode):
    before = arriving(mode, [Size(40, 40)])

    both = modes.beside(before, {"f0": Size(40, 40), "g": Size(60, 60)})

    assert both.keys == ("f0", "g")
    assert modes.beside(both, {"h": Size(100, 100)}) is None


@EACH_MODE
def test_a_packer_remembers_no_more_than_its_capacity(mode):
    packer = Packer(mode, capacity=2)

    for width in (10, 20, 30, 10):
        assert packer.holds([Size(width, 10)])

    assert len(packer) == 2


def test_a_function_beside_others_takes_the_tightest_percents():
    before = SlicedLayout((("f", Share(50, ((0, 40),))),))

    after = before.beside("g", Size(50, 50))

    assert after.slices("f") == ((0, 40),)
    assert after.slices("g") == ((0, 50),)


def test_slices_that_arrivals_have_scattered_are_put_in_order():
    scattered = SlicedLayout(
        (("f", Share(60, ((10, 10), (30, 10), (50, 10), (70, 10)))), ("g", Share(10, ((0, 90),))))
    )

    after = scattered.beside("h", Size(40, 40))

    assert oracle.violations(after) == []
    assert sum(len(after.slices(key)) for key in after.keys) <= 4


def test_every_function_of_a_column_is_drawn_on_the_one_before():
    layout = SlicedLayout((("f", Share(50, ((0, 10), (20, 10)))), ("g", Share(30, ((20, 30),)))))

    assert layout.pieces == (
        ("f", Rectangle(0, 0, 10, 50)),
        ("f", Rectangle(20, 0, 10, 50)),
        ("g", Rectangle(20, 50, 10, 30)),
        ("g", Rectangle(30, 0, 20, 30)),
    )


@pytest.mark.parametrize(
    ("height", "slices"),
    [
        (0, ((0, 10),)),
        (10, ()),
        (10, tuple((2 * start, 1) for start in range(9))),
        (10, ((10, 10), (0, 10))),
        (10, ((0, 10), (5, 10))),
        (10, ((0, 0),)),
        (10, ((95, 10),)),
    ],
    ids=["no SMs", "no slice", "nine slices", "disorder", "overlap", "empty", "out of the window"],
)
def test_a_share_that_no_lease_could_hold_cannot_be_made(height, slices):
    with pytest.raises(ValueError, match=r"slices|partition"):
        Share(height, slices)


def test_more_sms_than_there_are_cannot_be_promised():
    with pytest.raises(ValueError, match="110 percent"):
        SlicedLayout((("f", Share(60, ((0, 10),))), ("g", Share(50, ((9, 10),)))))


def test_a_key_cannot_occur_twice():
    with pytest.raises(ValueError, match="twice"):
        SlicedLayout((("f", Share(10, ((0, 10),))), ("f", Share(10, ((20, 10),)))))


@EACH_MODE
def test_rectangles_and_slices_have_the_same_name_for_what_fits(mode):
    timetable = arriving(mode, [Size(100, 40), Size(50, 60)])

    assert timetable.profile[60] == 50
    assert timetable.profile[61] == 0
    assert timetable.fits(Size(50, 60))


def test_the_exact_test_agrees_where_the_area_is_just_enough():
    assert exact.is_feasible(PAIRWISE)
    assert exact.least_time(PAIRWISE) == pytest.approx(100)
    assert not exact.is_feasible([*PAIRWISE, Size(1, 1)])


def test_the_exact_test_proves_its_no_in_whole_numbers():
    clique = [Size(41, 60), Size(30, 45), Size(30, 70)]

    assert not exact.is_feasible(clique)
    assert exact.is_refuted(clique, [1, 1, 1])
    assert not exact.is_refuted(clique, [0, 0, 0])


def test_the_exact_test_accepts_one_percent_less():
    assert exact.is_feasible([Size(40, 60), Size(30, 45), Size(30, 70)])


def test_an_oracle_remembers():
    oracle_ = exact.Oracle(capacity=1)

    assert oracle_.is_feasible(PAIRWISE)
    assert oracle_.is_feasible(reversed(PAIRWISE))
    assert not oracle_.is_feasible([Size(60, 60)] * 2)
    assert exact.is_feasible([])


def test_the_longer_search_mends_an_order_further():
    sizes = [Size(60, 50), Size(60, 50), Size(80, 50)]

    assert staircase.find_longer(sizes) is not None
    assert isinstance(Packer(RECT).arrange({}), Layout)


def test_a_node_lays_out_in_rectangles_what_they_hold():
    assert isinstance(Settler().settled(SLICED.empty, named(PAPER)), Layout)


def test_a_node_lays_out_in_slices_what_no_rectangles_hold():
    settler = Settler()
    before = settler.settled(RECT.empty, named(PAIRWISE[:2]))

    after = settler.settled(before, named(PAIRWISE))

    assert isinstance(before, Layout)
    assert isinstance(after, SlicedLayout)
    assert oracle.violations(after) == []
    assert settler.settled(after, named([Size(60, 60)] * 2)) is None


@EACH_MODE
def test_nobody_moves_on_a_node_when_one_leaves(mode):
    before = arriving(mode, [Size(50, 50), Size(40, 40), Size(30, 60)])

    after = Settler().settled(before, {"f1": Size(40, 40), "f2": Size(30, 60)})

    assert after == before.without("f0")
    assert Settler().packer_of(after).mode == mode


@EACH_MODE
def test_a_smaller_quota_stays_where_the_larger_one_began(mode):
    before = arriving(mode, [Size(50, 60), Size(60, 40)])

    after = before.narrowed("f1", 20)

    assert after.sizes == (Size(50, 60), Size(20, 40))
    assert after.slices("f1")[0][0] == before.slices("f1")[0][0]
    assert after.slices("f0") == before.slices("f0")


def test_a_smaller_quota_gives_up_its_last_slices():
    before = SlicedLayout((("f", Share(60, ((0, 20), (40, 20), (80, 10)))),))

    assert before.narrowed("f", 30).slices("f") == ((0, 20), (40, 10))


@EACH_MODE
def test_a_successor_takes_the_place_of_its_predecessor(mode):
    before = arriving(mode, [Size(50, 60), Size(60, 40)])

    after = before.renamed("f0", "g")

    assert after.keys == ("g", "f1")
    assert after.slices("g") == before.slices("f0")
    with pytest.raises(KeyError):
        after.renamed("f0", "h")


def test_slices_take_over_a_layout_of_rectangles_and_rectangles_none_of_slices():
    rectangles = arriving(RECT, [Size(60, 50), Size(60, 50)])

    slices = SLICED.adopted(rectangles)

    assert [slices.slices(key) for key in slices.keys] == [((0, 60),), ((0, 60),)]
    assert SLICED.adopted(slices) is slices
    assert RECT.adopted(slices).keys == ()


@EACH_MODE
def test_the_short_side_left_is_the_less_of_time_and_sms(mode):
    profile = arriving(mode, [Size(60, 50)]).profile

    assert modes.short_side_left(profile, Size(100, 30)) == 0
    assert modes.short_side_left(profile, Size(30, 80)) == 10
    assert modes.short_side_left(profile, Size(41, 51)) is None


@EACH_MODE
def test_what_is_free_is_told_by_its_largest_sizes(mode):
    assert modes.free_sizes(arriving(mode, [Size(60, 50)]).profile) == [
        Size(100, 50),
        Size(40, 100),
    ]
