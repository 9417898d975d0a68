"""Rivals place as their authors' systems do."""

import pytest
from benchmarks.packing.fleet import filled, opened
from benchmarks.packing.gpu_counts import least_gpus
from benchmarks.packing.orders import PAPER
from benchmarks.packing.rivals import Kept, Rectpack
from benchmarks.packing.ways import ARRIVALS, UNSOUND, WAYS

from gshare import exact
from gshare.rectangles import Size

HALVES = (Size(50, 100), Size(50, 50), Size(50, 50))


@pytest.mark.parametrize(
    ("way", "gpus"),
    [("SM only", 2), ("quota only", 5), ("rect", 1), ("sliced", 1), (UNSOUND, 1)],
    ids=str,
)
def test_the_papers_functions_need_so_many_gpus(way, gpus):
    assert filled(WAYS[way](), PAPER) == gpus


def test_area_alone_admits_what_no_timetable_holds():
    fleet = opened(WAYS[UNSOUND](), 1)

    assert fleet.take("one", Size(60, 60))
    assert fleet.take("other", Size(60, 60))
    assert not exact.is_feasible(fleet.sets[0])


@pytest.mark.parametrize("way", ARRIVALS)
def test_every_set_is_what_was_taken(way):
    fleet = opened(WAYS[way](), 2)

    taken = [size for at, size in enumerate(PAPER) if fleet.take(str(at), size)]

    assert sorted(size for each in fleet.sets for size in each) == sorted(taken)


@pytest.mark.parametrize(
    ("restructures", "finds_room"),
    [pytest.param(False, False, id="kept"), pytest.param(True, True, id="restructured")],
)
def test_freed_rectangles_join_only_where_free_lists_are_built_anew(restructures, finds_room):
    fleet = opened(Kept(restructures=restructures), 1)
    for key, size in zip("abc", HALVES, strict=True):
        assert fleet.take(key, size)
    fleet.leave("b")
    fleet.leave("c")

    assert fleet.take("whole", Size(50, 100)) is finds_room


def test_rectpack_takes_nothing_away():
    with pytest.raises(NotImplementedError, match="pod"):
        Rectpack("maxrects").leave("pod")


@pytest.mark.parametrize(
    ("sizes", "gpus"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([Size(60, 60)] * 2, 2, id="neither beside nor after"),
        pytest.param([Size(80, 50), Size(60, 50), Size(60, 50)], 1, id="only in slices"),
    ],
)
def test_the_bound_is_the_least_time_in_whole_gpus(sizes, gpus):
    assert least_gpus(sizes) == gpus
