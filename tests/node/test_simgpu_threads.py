"""The driver under many threads, watched by the compiler's sanitizers."""

import subprocess
from pathlib import Path

import pytest
from tests.support.simgpu_node import ROOT, counters, environment, simulated_node

SOURCES = ROOT / "simgpu"


def build(folder: Path, sanitizer: str) -> Path:
    """Return a program that holds the driver and the threads, built with a sanitizer."""
    program = folder / "threads"
    files = [*SOURCES.glob("src/driver/*.c"), *SOURCES.glob("src/engine/*.c")]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O0", "-g", "-pthread", f"-fsanitize={sanitizer}"]
    test = SOURCES / "tests/threads.c"
    subprocess.run(["cc", *flags, "-o", program, *files, test, "-lm"], check=True)
    return program


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_threads_do_not_race_or_leak(tmp_path: Path, sanitizer: str) -> None:
    program = build(tmp_path, sanitizer)
    with simulated_node() as node:
        started = [
            subprocess.Popen(
                [program], env=environment(node, {}), stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        complaints = [process.communicate(timeout=60)[1] for process in started]
        left = counters(node).memory_used_bytes

    assert [process.returncode for process in started] == [0, 0], complaints
    assert left == 0
