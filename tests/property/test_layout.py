"""Every set that is accepted has a timetable that gives each function its quota."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import oracle
from tests.support.gpus import request, snapshot

from gshare import bounds, layout, placement
from gshare.modes import RECT, Packer
from gshare.placement import Placement
from gshare.rectangles import GPU_RECTANGLE, Size

SIDES = st.one_of(st.integers(1, 100), st.sampled_from([6, 12, 20, 24, 40, 50, 60]))
SIZES = st.builds(Size, SIDES, SIDES)
SMALL = st.builds(Size, st.integers(5, 50), st.integers(5, 50))


@st.composite
def partitions(draw: st.DrawFn) -> list[Size]:
    """Draw sizes that fit one GPU for certain: pieces of it, cut again and again, then shrunk."""
    pieces = [Size(100, 100)]
    for _ in range(draw(st.integers(0, 7))):
        piece = pieces.pop(draw(st.integers(0, len(pieces) - 1)))
        if draw(st.booleans()) and piece.width > 1:
            cut = draw(st.integers(1, piece.width - 1))
            pieces += [Size(cut, piece.height), Size(piece.width - cut, piece.height)]
        elif piece.height > 1:
            cut = draw(st.integers(1, piece.height - 1))
            pieces += [Size(piece.width, cut), Size(piece.width, piece.height - cut)]
        else:
            pieces.append(piece)
    shrunk = draw(st.integers(0, len(pieces) - 1))
    pieces[shrunk] = Size(draw(st.integers(1, pieces[shrunk].width)), pieces[shrunk].height)
    return pieces


@given(partitions())
@settings(max_examples=200, deadline=None)
def test_bounds_never_reject_what_fits(sizes):
    """A certain no is certain: pieces of one GPU rectangle always fit one."""
    assert not bounds.is_impossible(sizes)


@given(st.lists(st.one_of(SIZES, SMALL), max_size=10))
@settings(max_examples=150, deadline=None)
def test_every_layout_is_a_valid_timetable(sizes):
    """At no percent of the window are more than 100 percent of the SMs promised."""
    arranged = Packer(RECT).arrange({f"f{index}": size for index, size in enumerate(sizes)})

    if arranged is not None:
        assert list(arranged.sizes) == sizes
        assert oracle.violations(arranged) == []


@given(st.lists(SMALL, max_size=9), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_verdict_depends_on_the_multiset_alone(sizes, random):
    """The order of arrival changes neither the verdict nor the rectangles in use."""
    shuffled = random.sample(sizes, len(sizes))

    first, second = layout.find(sizes), layout.find(shuffled)

    assert (first is None) == (second is None)
    assert sorted(first or ()) == sorted(second or ())


@given(st.lists(st.tuples(st.one_of(SIZES, SMALL), st.booleans()), max_size=20), st.data())
@settings(max_examples=100, deadline=None)
def test_arrivals_and_departures_keep_every_gpu_valid(steps, data):
    """After each step every timetable is valid, nobody is lost, and no one's size has changed."""
    gpus = {uuid: snapshot(uuid) for uuid in ("GPU-0", "GPU-1")}
    packer, living = Packer(RECT), {}
    for number, (size, leaves) in enumerate(steps):
        answer = placement.choose(
            tuple(gpus.values()), request(f"f{number}", size.height, size.width), packer
        )
        if isinstance(answer, Placement):
            gpus[answer.gpu_uuid] = answer.after
            living[answer.key] = (answer.gpu_uuid, size)
        if leaves and living:
            key = data.draw(st.sampled_from(sorted(living)))
            uuid, _ = living.pop(key)
            gpus[uuid] = placement.release(gpus[uuid], key)

        present = {
            key: (uuid, gpu.layout.rectangle(key).size)
            for uuid, gpu in gpus.items()
            for key in gpu.layout.keys
        }
        assert present == living
        for gpu in gpus.values():
            assert oracle.violations(gpu.layout) == []
            assert gpu.layout.used_area <= GPU_RECTANGLE.area


@given(st.lists(SIZES, min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_a_function_is_refused_only_where_no_gpu_has_a_free_rectangle(sizes):
    """A refusal never hides room that needs no new layout."""
    gpu, packer = snapshot(), Packer(RECT)
    for number, size in enumerate(sizes):
        answer = placement.choose(
            (gpu,), request(f"f{number}", size.height, size.width, memory=1), packer
        )
        if isinstance(answer, Placement):
            gpu = answer.after
        else:
            assert not gpu.layout.space.fits(size)
