"""Output cut into lines."""

from gshare_cli.container import LONGEST_LINE, Lines


def lines_of(*pieces: bytes) -> list[str]:
    said: list[str] = []
    lines = Lines(said.append)
    for piece in pieces:
        lines.data_received(piece)
    lines.connection_lost(None)
    return said


def test_a_line_in_two_pieces_is_said_once() -> None:
    assert lines_of(b"one\ntw", b"o\nthree\n") == ["one", "two", "three"]


def test_a_last_line_without_its_end_is_said() -> None:
    assert lines_of(b"one\ntwo") == ["one", "two"]


def test_a_line_without_end_is_cut() -> None:
    assert [len(line) for line in lines_of(b"x" * (2 * LONGEST_LINE + 1))] == [
        LONGEST_LINE,
        LONGEST_LINE,
        1,
    ]


def test_bytes_that_are_no_text_are_marked() -> None:
    assert lines_of(b"\xff\n") == ["�"]
