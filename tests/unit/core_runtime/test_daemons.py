"""Token daemons are started detached; one that cannot start says why."""

import pytest

from gshare.errors import GshareError
from gshare.runtime.daemons import TokenDaemons


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
