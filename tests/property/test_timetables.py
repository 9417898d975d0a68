"""What the packer admits, the arbiter delivers, with every function saturated."""

import random

import pytest
from tests.support import timetables
from tests.support.daemon import native

from gshare.modes import RECT, SLICED, Packer
from gshare.rectangles import Size

PAPER = [*[Size(40, 12)] * 4, *[Size(40, 24)] * 2, *[Size(60, 50)] * 2]
QUOTAS, PARTITIONS = (20, 40, 60, 80), (6, 12, 24, 50, 60)


def filled(mode, seed):
    """Fill a GPU with random functions up to the first that finds no room."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    packer, current = Packer(mode), mode.empty
    while True:
        key = f"f{len(current.keys)}"
        size = Size(draw.choice(QUOTAS), draw.choice(PARTITIONS))
        asked = {**dict(zip(current.keys, current.sizes, strict=True)), key: size}
        larger = current.beside(key, size) or packer.arrange(asked)
        if larger is None:
            return current
        current = larger


@pytest.mark.parametrize("mode", [RECT, SLICED], ids=lambda mode: mode.name)
def test_the_papers_functions_get_their_quotas(mode):
    timetable = Packer(mode).arrange({str(at): size for at, size in enumerate(PAPER)})

    got = timetables.delivered(native().arbiter, timetable)

    assert min(each.share for each in got) >= 97.5


@pytest.mark.parametrize("mode", [RECT, SLICED], ids=lambda mode: mode.name)
def test_functions_on_a_gpu_that_refuses_more_get_their_quotas(mode):
    """Kernels of 1 ms, two launched ahead: each slice may lose part of one to its neighbours."""
    for seed in range(15):
        timetable = filled(mode, seed)

        got = timetables.delivered(native().arbiter, timetable)

        assert min(each.share for each in got) >= 95, timetable
