"""A machine for one test: its state on a tmpfs, and nothing left of it afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.node_run import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Return a machine without any run."""
    root = Path(tempfile.mkdtemp(prefix="gshare-cli-test-", dir="/dev/shm"))
    made = Machine(root / "state", tmp_path)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root, ignore_errors=True)
