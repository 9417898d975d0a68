"""GPUs drawn as rectangles of characters."""

from gshare_cli import drawing
from gshare_cli.drawing import Box


def drawn(boxes: list[Box], columns: int = 50, rows: int = 10) -> list[str]:
    cells = drawing.picture(boxes, columns, rows)
    return ["".join(cell.character for cell in row) for row in cells]


def covered(boxes: list[Box], columns: int = 50, rows: int = 10) -> int:
    cells = drawing.picture(boxes, columns, rows)
    return sum(cell.function is not None for row in cells for cell in row)


def test_an_empty_gpu_is_drawn_free() -> None:
    assert set("".join(drawn([]))) == {drawing.FREE}


def test_a_box_at_the_origin_is_drawn_at_the_lower_left() -> None:
    picture = drawing.picture([Box("a", "f", 0, 0, 50, 50)], 50, 10)

    assert picture[9][0].function == "f"
    assert picture[0][0].function is None
    assert picture[9][49].function is None


def test_a_box_covers_its_share_of_the_cells() -> None:
    assert covered([Box("a", "f", 20, 30, 60, 50)]) == 60 * 50 // 20


def test_boxes_that_touch_leave_no_gap_and_share_no_cell() -> None:
    sizes = ((0, 12), (12, 12), (24, 12), (36, 24), (60, 40))
    boxes = [Box(str(y), f"f{y}", 0, y, 100, height) for y, height in sizes]

    assert covered(boxes) == 500
    assert sum(covered([box]) for box in boxes) == 500


def test_the_label_stands_inside_its_box() -> None:
    lines = drawn([Box("resnet-0", "resnet", 0, 0, 40, 40)])

    assert any("resnet-0" in line[:20] for line in lines)


def test_a_label_too_long_for_its_box_is_cut() -> None:
    picture = drawing.picture([Box("a-very-long-replica-name", "f", 0, 0, 10, 100)], 50, 10)

    assert all(row[5].function is None for row in picture)
    assert any("a-ve" in "".join(cell.character for cell in row) for row in picture)


def test_a_bar_shows_delivered_request_and_limit() -> None:
    shown = drawing.bar(50, request_percent=40, limit_percent=80, columns=10)

    assert shown == "███|█──]──"
