"""The file that says where a GPU's leases lie, in both of its forms."""

import json

import pytest

from gshare.layout import Layout
from gshare.rectangles import Rectangle
from gshare.runtime import layouts
from gshare.sliced import Share, SlicedLayout

RECTANGLES = Layout((("a", Rectangle(0, 0, 60, 50)), ("b", Rectangle(60, 0, 40, 12))))
SLICES = SlicedLayout((("a", Share(50, ((0, 40), (60, 20)))), ("b", Share(12, ((10, 40),)))))


@pytest.mark.parametrize(
    "timetable",
    [
        pytest.param(RECTANGLES, id="rectangles"),
        pytest.param(SLICES, id="slices"),
        pytest.param(Layout(), id="nothing"),
    ],
)
def test_what_is_written_is_read_again(tmp_path, timetable):
    layouts.write(tmp_path / "gpu", timetable)

    assert layouts.read(tmp_path / "gpu") == timetable


def test_what_agents_wrote_that_knew_only_rectangles_is_read(tmp_path):
    (tmp_path / "layout.json").write_text('{"a": [0, 0, 60, 50], "b": [60, 0, 40, 12]}')

    assert layouts.read(tmp_path) == RECTANGLES


def test_a_gpu_without_a_file_has_nothing(tmp_path):
    assert layouts.read(tmp_path) == Layout()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([1], id="a list"),
        pytest.param({"a": [0, 0, 60]}, id="three numbers"),
        pytest.param({"a": {"sm": 50}}, id="no slices"),
        pytest.param({"a": {"sm": 50, "slices": [[0, 0]]}}, id="an empty slice"),
        pytest.param({"a": {"sm": 50, "slices": [[0, 9]]}, "b": [0, 0, 9, 9]}, id="both forms"),
    ],
)
def test_what_is_no_layout_is_refused(tmp_path, raw):
    (tmp_path / "layout.json").write_text(json.dumps(raw))

    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        layouts.read(tmp_path)
