"""Sizes and rectangles check themselves."""

import pytest

from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size


@pytest.mark.parametrize(
    ("width", "height"),
    [
        pytest.param(0, 12, id="no time"),
        pytest.param(40, 0, id="no SMs"),
        pytest.param(101, 12, id="more time than there is"),
        pytest.param(40, 101, id="more SMs than there are"),
    ],
)
def test_a_size_outside_the_gpu_cannot_exist(width, height):
    with pytest.raises(ValueError, match="1-100"):
        Size(width, height)


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param((-1, 0, 10, 10), id="starts left of the window"),
        pytest.param((0, -1, 10, 10), id="starts below the SMs"),
        pytest.param((0, 0, 0, 10), id="has no width"),
        pytest.param((0, 0, 10, 0), id="has no height"),
        pytest.param((91, 0, 10, 10), id="ends after the window"),
        pytest.param((0, 91, 10, 10), id="ends above the SMs"),
    ],
)
def test_a_rectangle_outside_the_gpu_cannot_exist(edges):
    with pytest.raises(ValueError, match="100 by 100"):
        Rectangle(*edges)


def test_neighbours_that_share_an_edge_do_not_intersect():
    left, right = Rectangle(0, 0, 60, 50), Rectangle(60, 0, 40, 50)

    assert not left.intersects(right)
    assert not right.intersects(left)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Rectangle(59, 49, 10, 10), id="at a corner"),
        pytest.param(Rectangle(10, 10, 5, 5), id="inside"),
        pytest.param(GPU_RECTANGLE, id="around"),
    ],
)
def test_rectangles_that_share_a_percent_intersect(other):
    rectangle = Rectangle(0, 0, 60, 50)

    assert rectangle.intersects(other)
    assert other.intersects(rectangle)


def test_a_rectangle_contains_itself_and_what_lies_inside():
    rectangle = Rectangle(10, 10, 50, 50)

    assert rectangle.contains(rectangle)
    assert rectangle.contains(Rectangle(20, 20, 40, 40))
    assert not rectangle.contains(Rectangle(20, 20, 41, 40))


def test_a_whole_gpu_has_ten_thousand_units_of_area():
    assert GPU_RECTANGLE.area == GPU_RECTANGLE.size.area == 10_000
