"""Maximal free rectangles: split, intersection update, removal, release, rules."""

import pytest

from gshare import packing
from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size

LEFT_LOW = Rectangle(0, 0, 60, 50)


def test_an_empty_space_is_one_free_rectangle():
    assert packing.Space().free == (GPU_RECTANGLE,)


def test_split_leaves_the_right_and_the_top_in_full():
    space = packing.place(packing.Space(), LEFT_LOW)

    assert space.free == (Rectangle(0, 50, 100, 50), Rectangle(60, 0, 40, 100))


def test_intersection_update_cuts_every_free_rectangle_that_meets_the_placed_one():
    space = packing.place(packing.Space(), Rectangle(40, 40, 20, 20))

    assert space.free == (
        Rectangle(0, 0, 40, 100),
        Rectangle(0, 0, 100, 40),
        Rectangle(0, 60, 100, 40),
        Rectangle(60, 0, 40, 100),
    )


def test_removal_drops_a_strip_that_lies_in_another_free_rectangle():
    space = packing.Space.holding([LEFT_LOW, Rectangle(60, 0, 40, 50)])

    assert space.free == (Rectangle(0, 50, 100, 50),)


def test_a_full_space_has_nothing_free_and_fits_nothing():
    space = packing.place(packing.Space(), GPU_RECTANGLE)

    assert space.free == ()
    assert not space.fits(Size(1, 1))
    assert packing.choose(space, Size(1, 1)) is None
    assert packing.short_side_left(space, Size(1, 1)) is None


def test_a_rectangle_over_a_placed_one_is_refused():
    space = packing.place(packing.Space(), LEFT_LOW)

    with pytest.raises(ValueError, match="free space"):
        packing.place(space, Rectangle(59, 49, 10, 10))


def test_release_keeps_the_others_and_merges_what_is_free():
    space = packing.Space.holding([LEFT_LOW, Rectangle(60, 0, 40, 12)])

    after = packing.release(space, LEFT_LOW)

    assert after.placed == (Rectangle(60, 0, 40, 12),)
    assert after.free == (Rectangle(0, 0, 60, 100), Rectangle(0, 12, 100, 88))


def test_release_of_what_is_not_placed_is_refused():
    with pytest.raises(ValueError, match="not placed"):
        packing.release(packing.Space(), LEFT_LOW)


def test_used_area_is_the_sum_of_what_is_placed():
    assert packing.Space.holding([LEFT_LOW, Rectangle(60, 0, 40, 12)]).used_area == 3_480


# Free after these two: (0,30,40,70), (0,80,100,20), (40,0,60,20)... told apart by each rule.
COMB = packing.Space.holding([Rectangle(0, 0, 40, 30), Rectangle(40, 20, 60, 60)])


@pytest.mark.parametrize(
    ("rule", "size", "expected"),
    [
        pytest.param("short_side", Size(40, 20), Rectangle(40, 0, 40, 20), id="least short side"),
        pytest.param("long_side", Size(30, 18), Rectangle(40, 0, 30, 18), id="least long side"),
        pytest.param("area", Size(40, 10), Rectangle(40, 0, 40, 10), id="least area left"),
        pytest.param("bottom_left", Size(30, 20), Rectangle(40, 0, 30, 20), id="lowest"),
        pytest.param("contact_point", Size(40, 40), Rectangle(0, 30, 40, 40), id="most contact"),
    ],
)
def test_each_rule_puts_a_size_where_its_name_says(rule, size, expected):
    assert packing.choose(COMB, size, rule) == expected


def test_short_side_left_is_what_best_short_side_fit_would_leave():
    space = packing.place(packing.Space(), LEFT_LOW)

    assert packing.short_side_left(space, Size(40, 12)) == 0
    assert packing.short_side_left(space, Size(30, 30)) == 10
