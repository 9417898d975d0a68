"""What rectangles and slices promise alike: every set that is accepted gets its quota."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import oracle

from gshare import exact, modes, staircase
from gshare.modes import RECT, SLICED, Packer
from gshare.rectangles import Size
from gshare.wire import MAX_SLICES

SIDES = st.one_of(st.integers(1, 100), st.sampled_from([6, 12, 20, 24, 40, 50, 60]))
SIZES = st.builds(Size, SIDES, SIDES)
SMALL = st.builds(Size, st.integers(5, 50), st.integers(5, 50))
SETS = st.one_of(
    st.lists(SIZES, max_size=6),
    st.lists(SMALL, min_size=6, max_size=14),
    st.lists(st.one_of(SIZES, SMALL), max_size=10),
)
EACH_MODE = pytest.mark.parametrize("mode", [RECT, SLICED], ids=lambda mode: mode.name)


def named(sizes):
    return {f"f{number}": size for number, size in enumerate(sizes)}


@st.composite
def timetables(draw, mode):
    """Draw a timetable that arrivals beside the others, new layouts and departures have made."""
    packer, current = Packer(mode), mode.empty
    for number, size in enumerate(draw(st.lists(st.one_of(SIZES, SMALL), max_size=16))):
        asked = {**dict(zip(current.keys, current.sizes, strict=True)), f"f{number}": size}
        current = current.beside(f"f{number}", size) or packer.arrange(asked) or current
        if current.keys and draw(st.integers(0, 3)) == 0:
            current = current.without(draw(st.sampled_from(current.keys)))
    return current


@EACH_MODE
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_arrivals_and_departures_keep_every_timetable_valid(mode, data):
    """Each function has its quota, in few slices; the SMs never add up to more than there are."""
    timetable = data.draw(timetables(mode))

    assert oracle.violations(timetable) == []
    assert all(1 <= len(timetable.slices(key)) <= MAX_SLICES for key in timetable.keys)


@EACH_MODE
@given(SETS)
@settings(max_examples=150, deadline=None)
def test_a_set_that_is_found_has_a_valid_timetable(mode, sizes):
    """A whole set at once: the timetable has exactly the sizes that were asked, and is valid."""
    timetable = Packer(mode).arrange(named(sizes))

    if timetable is not None:
        assert list(timetable.sizes) == sizes
        assert oracle.violations(timetable) == []
        assert all(len(timetable.slices(key)) <= MAX_SLICES for key in timetable.keys)


@given(SETS)
@settings(max_examples=200, deadline=None)
def test_slices_hold_whatever_rectangles_hold(sizes):
    """The larger mode refuses nothing that the smaller one admits."""
    if Packer(RECT).holds(sizes):
        assert Packer(SLICED).holds(sizes, search_longer=True)


@EACH_MODE
@given(SETS)
@settings(max_examples=150, deadline=None)
def test_nothing_is_found_that_has_no_timetable(mode, sizes):
    """What the exact test refuses, no mode admits."""
    if Packer(mode).holds(sizes):
        assert exact.is_feasible(sizes)
        assert exact.least_time(sizes) <= 100 + 1e-6


@given(SETS)
@settings(max_examples=150, deadline=None)
def test_the_bounds_refuse_nothing_that_fits(sizes):
    """A certain no is certain: the linear program agrees, and so do rectangles."""
    if SLICED.is_impossible(sizes):
        assert exact.least_time(sizes) > 100
        assert RECT.is_impossible(sizes)


@EACH_MODE
@given(st.lists(SMALL, max_size=10), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_verdict_depends_on_the_multiset_alone(mode, sizes, random):
    """The order of arrival changes neither the verdict nor what equal sizes get."""
    shuffled = random.sample(sizes, len(sizes))

    first, second = (
        Packer(mode).arrange(dict(zip(map(str, order), sizes_, strict=True)))
        for order, sizes_ in (
            (range(len(sizes)), sizes),
            (range(len(sizes)), shuffled),
        )
    )

    assert (first is None) == (second is None)
    if first is not None:
        assert held(first) == held(second)


def held(timetable):
    sizes = zip(timetable.keys, timetable.sizes, strict=True)
    return sorted((size, timetable.slices(key)) for key, size in sizes)


@EACH_MODE
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_departures_never_fail_and_move_nobody(mode, data):
    """Whoever stays has the slices that it had."""
    timetable = data.draw(timetables(mode))
    while timetable.keys:
        before = {key: timetable.slices(key) for key in timetable.keys}
        leaving = data.draw(st.sampled_from(timetable.keys))

        timetable = timetable.without(leaving)

        del before[leaving]
        assert {key: timetable.slices(key) for key in timetable.keys} == before


@EACH_MODE
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_profile_is_what_fits(mode, data):
    """For each height the widest quota, as a map of all percents has it."""
    timetable = data.draw(timetables(mode))

    assert timetable.profile == oracle.profile(timetable)


@EACH_MODE
@given(st.data(), st.one_of(SIZES, SMALL))
@settings(max_examples=150, deadline=None)
def test_what_fits_by_the_profile_finds_room_beside_the_others(mode, data, size):
    """Profile, verdict and placement agree."""
    timetable = data.draw(timetables(mode))

    larger = timetable.beside("new", size)

    assert timetable.fits(size) == (timetable.profile[size.height] >= size.width)
    if larger is not None:
        assert larger.keys == (*timetable.keys, "new")
        assert oracle.violations(larger) == []
    assert (larger is not None) == timetable.fits(size)


@EACH_MODE
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_settles_to_what_was_there(mode, data):
    """After a restart the others keep their places, whoever has left."""
    before = data.draw(timetables(mode))
    sizes = dict(zip(before.keys, before.sizes, strict=True))
    for key in data.draw(st.sets(st.sampled_from(before.keys))) if before.keys else ():
        del sizes[key]

    after = Packer(mode).settled(before, sizes)

    assert set(after.keys) == set(sizes)
    assert all(after.slices(key) == before.slices(key) for key in after.keys)


@given(SETS)
@settings(max_examples=100, deadline=None)
def test_slices_and_segments_say_the_same(sizes):
    """Cutting the window where slices begin and end, and joining it again, changes nothing."""
    slices = staircase.find(sizes)

    if slices is not None:
        segments = staircase.segments_of(slices)
        assert sum(width for width, _ in segments) == 100
        assert staircase.slices_of(segments, len(sizes)) == slices


@EACH_MODE
@given(st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_drawn_does_not_overlap(mode, data):
    """The pieces of each function have its area, and lie apart from all others."""
    timetable = data.draw(timetables(mode))

    drawn = [piece for _, piece in timetable.pieces]

    assert sum(piece.area for piece in drawn) == timetable.used_area
    assert not any(
        one.intersects(other) for at, one in enumerate(drawn) for other in drawn[at + 1 :]
    )
    assert modes.remaining(timetable, {}).keys == ()
