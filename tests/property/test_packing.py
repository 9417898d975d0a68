"""Placed rectangles never overlap, and the free ones are exactly the maximal empty ones."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import oracle

from gshare import packing
from gshare.rectangles import GPU_RECTANGLE, Rectangle, Size

SIDES = st.one_of(st.integers(1, 100), st.sampled_from([6, 12, 20, 24, 40, 50, 60]))
SIZES = st.builds(Size, SIDES, SIDES)
RULES = st.sampled_from(sorted(packing.RULES))


def free_of(space: packing.Space) -> set[tuple[int, int, int, int]]:
    return {(free.x, free.y, free.width, free.height) for free in space.free}


@st.composite
def spaces(draw: st.DrawFn) -> packing.Space:
    """Draw a space with rectangles anywhere in what is free, not only in its corners."""
    space = packing.Space()
    for _ in range(draw(st.integers(0, 9))):
        if not space.free:
            break
        free = draw(st.sampled_from(space.free))
        x = draw(st.integers(free.x, free.right - 1))
        y = draw(st.integers(free.y, free.top - 1))
        width = draw(st.integers(1, free.right - x))
        height = draw(st.integers(1, free.top - y))
        space = packing.place(space, Rectangle(x, y, width, height))
    return space


@given(spaces())
@settings(max_examples=120, deadline=None)
def test_free_rectangles_are_exactly_the_maximal_ones(space):
    """No maximal empty rectangle is missing, none is listed that is not maximal, none twice."""
    assert free_of(space) == oracle.maximal_free(space.placed)
    assert len(free_of(space)) == len(space.free)


@given(spaces())
@settings(max_examples=100, deadline=None)
def test_placed_rectangles_never_overlap_and_cover_the_gpu_with_the_free_ones(space):
    """Each percent of the GPU is in one placed rectangle, or in none and in a free one."""
    for one, other in itertools.combinations(space.placed, 2):
        assert not one.intersects(other)
    for free in space.free:
        assert not any(free.intersects(placed) for placed in space.placed)

    covered = {
        (x, y)
        for free in space.free
        for x in range(free.x, free.right)
        for y in range(free.y, free.top)
    }

    assert len(covered) + space.used_area == GPU_RECTANGLE.area


@given(spaces(), SIZES, RULES)
@settings(max_examples=150, deadline=None)
def test_every_rule_finds_room_exactly_where_there_is_some(space, size, rule):
    """A rule chooses among free rectangles: it refuses nothing that fits, takes nothing held."""
    chosen = packing.choose(space, size, rule)

    fits = any(f.width >= size.width and f.height >= size.height for f in space.free)
    assert (chosen is not None) == fits == space.fits(size)
    if chosen is not None:
        assert chosen.size == size
        assert not any(chosen.intersects(placed) for placed in space.placed)


@given(spaces(), SIZES)
@settings(max_examples=100, deadline=None)
def test_short_side_left_is_the_least_over_all_free_rectangles(space, size):
    """Best short-side fit is told without choosing a place."""
    left = [
        min(free.width - size.width, free.height - size.height)
        for free in space.free
        if free.width >= size.width and free.height >= size.height
    ]

    assert packing.short_side_left(space, size) == min(left, default=None)


@given(spaces(), SIZES, RULES)
@settings(max_examples=100, deadline=None)
def test_release_restores_what_was_free_before(space, size, rule):
    """Placing and releasing leaves a space as it was."""
    chosen = packing.choose(space, size, rule)
    if chosen is None:
        return

    assert packing.release(packing.place(space, chosen), chosen) == space


@given(spaces(), st.data())
@settings(max_examples=30, deadline=None)
def test_release_in_any_order_ends_with_an_empty_gpu(space, data):
    """The order of departures does not matter: after each one the free list is exact again."""
    for rectangle in data.draw(st.permutations(space.placed)):
        space = packing.release(space, rectangle)
        assert free_of(space) == oracle.maximal_free(space.placed)

    assert space == packing.Space()
