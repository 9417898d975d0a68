"""A load that takes long shows a bar on a terminal, and nothing anywhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

LOADS = """
import sys
import numpy as np
from gshare_modelstore import client_progress
from gshare_modelstore.client import ModelStore

client_progress.PATIENCE_S = float(sys.argv[1])
import warnings; warnings.simplefilter("ignore")
store = ModelStore.connect(sys.argv[2])
store.get_or_load("resnet50", lambda: {"w": np.ones(32 << 20, np.uint8)}, digest=sys.argv[3])
"""
DIGEST = "ab" * 32


def shown(patience_s: float, path: Path, *, on_terminal: bool) -> str:
    """Return what the program shows on standard error; the digest makes it hash, and refuse."""
    reader, writer = pty.openpty() if on_terminal else os.pipe()
    words = [sys.executable, "-c", LOADS, str(patience_s), path, DIGEST]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run(words, stderr=writer, env=environment, check=False, timeout=30)
    os.close(writer)
    seen = b""
    try:
        while chunk := os.read(reader, 1 << 16):
            seen += chunk
    except OSError:  # how a terminal ends
        pass
    os.close(reader)
    return seen.decode()


def test_a_terminal_gets_a_bar(tmp_path: Path):
    seen = shown(0.0, tmp_path / "store.sock", on_terminal=True)

    assert "resnet50" in seen.partition("Traceback")[0]
    assert "MiB" in seen.partition("Traceback")[0]


def test_a_short_load_shows_nothing(tmp_path: Path):
    assert "MiB" not in shown(60.0, tmp_path / "store.sock", on_terminal=True)


def test_a_log_gets_no_bar(tmp_path: Path):
    assert "MiB" not in shown(0.0, tmp_path / "store.sock", on_terminal=False)
