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


# A tower over (70,0) and (70,10), a low gap at (0,0), a corner with two walls at (90,0).
TOWER = packing.Space.holding([Rectangle(30, 20, 40, 50), Rectangle(80, 0, 10, 10)])


@pytest.mark.parametrize(
    ("rule", "corner"),
    [
        pytest.param("short_side", (70, 0), id="least short side left"),
        pytest.param("long_side", (70, 10), id="least long side left"),
        pytest.param("area", (70, 0), id="least area left"),
        pytest.param("bottom_left", (0, 0), id="lowest, then most to the left"),
        pytest.param("contact_point", (90, 0), id="longest border shared"),
    ],
)
def test_each_rule_puts_a_size_where_its_name_says(rule, corner):
    chosen = packing.choose(TOWER, Size(10, 30), rule)

    assert chosen == Rectangle(*corner, 10, 30)


def test_contact_counts_the_borders_of_neighbours_too():
    space = packing.Space.holding([Rectangle(0, 0, 40, 100), Rectangle(40, 0, 20, 60)])

    chosen = packing.choose(space, Size(20, 40), "contact_point")

    assert chosen == Rectangle(40, 60, 20, 40)


def test_short_side_left_is_what_best_short_side_fit_would_leave():
    space = packing.place(packing.Space(), LEFT_LOW)

    assert packing.short_side_left(space, Size(40, 12)) == 0
    assert packing.short_side_left(space, Size(30, 30)) == 10
