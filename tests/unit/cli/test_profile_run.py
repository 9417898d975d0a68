"""What `gshare profile` needs before it starts."""

import importlib.util

import pytest

from gshare.errors import GshareError
from gshare_cli import profile_run


def test_what_is_not_installed_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "locust" else 1)

    with pytest.raises(GshareError, match=r"needs locust: pip install 'gshare\[profiler\]'"):
        profile_run.require_parts()


def test_nothing_is_named_where_all_is_there() -> None:
    profile_run.require_parts()
