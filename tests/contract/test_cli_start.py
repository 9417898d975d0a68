"""What the command line does before it does anything."""

import subprocess
import sys

TELL = "import sys, gshare_cli.__main__; print(*sys.modules)"


def test_the_command_line_starts_without_numpy():
    """It takes longer to import than most commands to run."""
    loaded = subprocess.run(
        [sys.executable, "-c", TELL], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "gshare.ledger" in loaded
    assert "numpy" not in loaded
