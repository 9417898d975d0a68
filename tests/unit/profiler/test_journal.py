"""Trials on disk: whole lines, one writer, one subject."""

from pathlib import Path

import pytest
from tests.support.profiling import failed, trial

from gshare.errors import GshareError
from gshare_profiler.journal import Journal

SUBJECT = {"function": "resnet", "request": "GET /infer", "body": b"x", "sizes": (1, 2)}


def test_what_was_added_is_there_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trials.jsonl"
    with Journal.open(path, SUBJECT) as journal:
        journal.add(trial(12, 40))
        journal.add(failed(6, 20))

    with Journal.open(path, SUBJECT) as again:
        assert again.trials == [trial(12, 40), failed(6, 20)]


def test_a_writer_killed_at_any_byte_costs_at_most_its_last_trial(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Journal.open(path, SUBJECT) as journal:
        journal.add(trial(12, 40))
        before = path.stat().st_size
        journal.add(trial(12, 60))
    whole = path.read_bytes()

    for end in range(before, len(whole)):
        path.write_bytes(whole[:end])
        with Journal.open(path, SUBJECT) as cut:
            assert cut.trials == [trial(12, 40)]
            cut.add(trial(12, 80))
        with Journal.open(path, SUBJECT) as again:
            assert again.trials == [trial(12, 40), trial(12, 80)]


def test_a_writer_killed_within_the_first_line_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b'{"version":1,"sub')

    with Journal.open(path, SUBJECT) as journal:
        journal.add(trial())

    with Journal.open(path, SUBJECT) as again:
        assert again.trials == [trial()]


def test_trials_of_something_else_are_refused_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Journal.open(path, SUBJECT) as journal:
        journal.add(trial())

    with pytest.raises(GshareError, match="request was 'GET /infer' and is 'GET /'"):
        Journal.open(path, {**SUBJECT, "request": "GET /"})
    with Journal.open(path, {**SUBJECT, "request": "GET /"}, fresh=True) as anew:
        assert anew.trials == []


def test_without_any_trial_another_subject_takes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    Journal.open(path, SUBJECT).__exit__(None, None, None)

    with Journal.open(path, {**SUBJECT, "request": "GET /"}) as journal:
        journal.add(trial())

    with pytest.raises(GshareError, match="something else"):
        Journal.open(path, SUBJECT)


def test_two_never_write_one(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with (
        Journal.open(path, SUBJECT),
        pytest.raises(GshareError, match="another `gshare profile` is writing it"),
    ):
        Journal.open(path, SUBJECT)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text("hello\nworld\n")

    with pytest.raises(GshareError, match="is no journal of trials"):
        Journal.open(path, SUBJECT)
    assert path.read_text() == "hello\nworld\n"
