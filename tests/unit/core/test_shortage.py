"""What a GPU lacks for a request, in words."""

import dataclasses

import pytest

from gshare import shortage
from gshare.layout import Layout
from gshare.modes import RECT, Packer
from gshare.placement import Gpu, Request, Snapshot
from gshare.rectangles import Rectangle

GPU = Gpu("GPU-1", 16 * 2**30, 80)
HALF = Snapshot(GPU, Layout((("a", Rectangle(0, 0, 60, 100)),)), (("a", 10 * 2**30),))


def asking(sm, quota, memory=2**30):
    return Request("new", sm, quota, memory)


def text(gpu, request):
    found = shortage.of(gpu, request, Packer(RECT))
    return found.text if found else ""


def test_a_gpu_with_room_lacks_nothing():
    assert shortage.of(HALF, asking(100, 40), Packer(RECT)) is None


def test_a_gpu_that_has_room_by_a_new_layout_lacks_nothing():
    places = (("a", Rectangle(0, 0, 40, 50)), ("b", Rectangle(60, 50, 40, 50)))
    split = Snapshot(GPU, Layout(places), (("a", 2**30), ("b", 2**30)))

    assert not split.layout.space.fits(asking(50, 80).size)
    assert shortage.of(split, asking(50, 80), Packer(RECT)) is None


@pytest.mark.parametrize(
    ("sm", "quota", "expected"),
    [
        pytest.param(
            100,
            50,
            "10 % of the time is missing: the nearest free rectangle has "
            "100 % of the SMs for 40 % of the time (40 % of the GPU is free)",
            id="time",
        ),
        pytest.param(100, 100, "60 % of the time is missing: ", id="more time"),
    ],
)
def test_names_what_the_nearest_free_rectangle_lacks(sm, quota, expected):
    assert text(HALF, asking(sm, quota)).startswith(expected)


def test_names_both_sides_where_both_lack():
    corner = Layout((("a", Rectangle(0, 0, 60, 100)), ("b", Rectangle(60, 0, 40, 60))))
    gpu = Snapshot(GPU, corner, (("a", 1), ("b", 1)))

    assert text(gpu, asking(50, 50)).startswith(
        "10 % of the SMs and 10 % of the time are missing: "
    )


def test_a_full_gpu_has_nothing_free():
    full = Snapshot(GPU, Layout((("a", Rectangle(0, 0, 100, 100)),)), (("a", 1),))

    assert text(full, asking(1, 1)) == "nothing of the GPU is free"


def test_names_missing_memory():
    assert text(HALF, asking(10, 10, 8 * 2**30)) == (
        "2Gi of memory are missing: 8Gi asked, 6Gi free"
    )


def test_names_all_that_is_missing():
    ill = dataclasses.replace(HALF, gpu=dataclasses.replace(GPU, is_healthy=False, max_clients=1))

    found = text(ill, asking(100, 50, 8 * 2**30))

    assert found.startswith("the GPU is not healthy; all of its 1 MPS clients are taken; 2Gi")
    assert "10 % of the time is missing" in found


def test_a_nearer_gpu_is_less_distant():
    far = Snapshot(GPU, Layout((("a", Rectangle(0, 0, 90, 100)),)), (("a", 1),))
    request = asking(100, 50)
    near, further = (shortage.of(gpu, request, Packer(RECT)) for gpu in (HALF, far))

    assert near
    assert further
    assert near.distance < further.distance
