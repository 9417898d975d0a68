"""Daemons are started detached; one that cannot start says why."""

import pytest
from tests.support.daemon import limits

from gshare.errors import GshareError
from gshare.models import ModelShare
from gshare.runtime import leases, stores
from gshare.runtime.daemons import ModelStores, TokenDaemons
from gshare.runtime.stores import Budget, Identity


def test_a_program_that_is_missing_is_an_error_that_names_it(tmp_path):
    daemons = TokenDaemons(tmp_path / "nowhere", window_us=40_000)

    with pytest.raises(GshareError, match="nowhere: No such file"):
        daemons.ensure(tmp_path / "GPU-0")


def test_a_program_that_ends_at_once_is_an_error_with_its_last_words(tmp_path):
    program = tmp_path / "tokend"
    program.write_text("#!/bin/sh\necho 'reason=broken' >&2\nexit 1\n")
    program.chmod(0o755)
    daemons = TokenDaemons(program, window_us=40_000)

    with pytest.raises(GshareError, match=r"did not start: reason=broken"):
        daemons.ensure(tmp_path / "GPU-0")


@pytest.fixture
def announced(tmp_path):
    """Return a GPU folder whose one lease announces a model, and whose store has memory."""
    folder = tmp_path / "GPU-0"
    identity = Identity.of("team", "vit-0", "vit", ModelShare("vit", 2**30))
    leases.prepare(folder, [limits("vit-0")], {"vit-0": identity})
    stores.write_budget(folder, Budget(2**30, 0))
    return folder


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Have stores end at once; return the file that counts their starts."""
    program = tmp_path / "store"
    starts = tmp_path / "starts"
    program.write_text(f"#!/bin/sh\necho . >>{starts}\necho 'no driver' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("gshare.runtime.daemons.store_command", lambda _: [str(program)])
    return starts


def test_a_store_that_ends_at_once_is_told_with_its_last_words(announced, broken):
    assert broken.parent == announced.parent
    assert ModelStores({}).ensure(announced) == "model store of GPU-0 ended: no driver"


def test_a_store_that_cannot_run_is_not_started_again_and_again(announced, broken):
    kept = ModelStores({})

    for _ in range(5):
        kept.ensure(announced)

    assert broken.read_text() == ".\n"


def test_no_store_is_started_where_none_is_wanted(announced, broken):
    stores.write_budget(announced, None)

    assert ModelStores({}).ensure(announced) == ""
    assert not broken.exists()
