"""The state directory: records, locks, and what removal leaves."""

from pathlib import Path

from gshare.runtime.processes import ProcessIdentity
from gshare.runtime.state import LeaseRecord, Run, RunRecord, StateDirectory

LEASE = LeaseRecord("resnet-0", "resnet-0", "resnet", "GPU-0", 12, 40, 100, 2**30)


def test_a_record_is_read_as_it_was_written() -> None:
    record = RunRecord("up-1", (LEASE,), (("resnet-0", ProcessIdentity(7, 1.5)),), (20_000,))

    assert RunRecord.from_json(record.to_json()) == record


def test_a_run_lives_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.locked():
        run = Run(state, "up-1")
        held = [is_alive for _, is_alive in state.records()]
        run.close()
        let_go = [is_alive for _, is_alive in state.records()]

    assert (held, let_go) == ([True], [False])


def test_a_run_killed_before_its_first_record_is_found_dead(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    (state.runs / "up-1").mkdir(parents=True)

    with state.locked():
        assert list(state.records()) == [(RunRecord("up-1"), False)]


def test_removing_the_state_leaves_nothing_of_ours(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.locked():
        Run(state, "up-1").close()
        state.remove()

    assert not state.root.exists()


def test_removing_the_state_spares_what_others_keep_there(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    state = StateDirectory(tmp_path)

    with state.locked():
        state.remove()

    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_process_that_ended_takes_its_record_with_it(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.locked():
        run = Run(state, "up-1")
        run.hold((LEASE,))
        run.started("resnet-0", ProcessIdentity(7, 1.5))
        run.hold(())
        ((record, _),) = state.records()
        run.close()

    assert record.processes == ()
