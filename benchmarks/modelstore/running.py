"""Starts the benchmark's programs and stores of their own, and reads what they say."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.quota.gpu import BenchError

ROOT: Final = Path(__file__).resolve().parents[2]
_PROGRAMS: Final = Path(__file__).parent / "programs"
_PATIENCE_S: Final = 120.0
_HOST_MEMORY: Final = ("--host-memory", "4Gi")


class LoneStore:
    """The product's store on a socket of its own, for no leases. Everything is gone on exit."""

    def __init__(self, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        """Take more flags, by default those of a store without a GPU."""
        self._root = Path(tempfile.mkdtemp(prefix="gshare-bench-", dir="/dev/shm"))
        self.socket = self._root / "store.sock"
        self._flags = flags or ("--no-gpu",)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it; BenchError where it does not serve."""
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        shutil.rmtree(self._root, ignore_errors=True)

    def _start(self) -> None:
        flags = ["--socket", str(self.socket), "--namespace", "bench"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gshare_modelstore", *flags, *_HOST_MEMORY, *self._flags],
            env=self._environment,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE_S
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"gshare-modelstore: does not serve {self.socket}")
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """Return the store's process."""
        assert self._process is not None, "not entered"  # noqa: S101
        return self._process.pid


class Program:
    """One of our programs while it runs; its standard input ends with it."""

    def __init__(
        self,
        name: str,
        flags: Sequence[str],
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        """Start programs/NAME.py under `python` in `environment`, ours by default."""
        path = {"PYTHONPATH": str(ROOT / "modelstore"), "OPENBLAS_NUM_THREADS": "1"}
        self.name = name
        self._process = subprocess.Popen(
            [python, str(_PROGRAMS / f"{name}.py"), *flags],
            env={**(os.environ if environment is None else environment), **path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Return its process."""
        return self._process.pid

    def line(self) -> str:
        """Return the next line that it prints; BenchError where it ends instead."""
        assert self._process.stdout  # noqa: S101 (asked for above)
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} ended with {self._process.wait()}")
        return line.strip()

    def go(self) -> None:
        """Have a program that waits begin."""
        assert self._process.stdin  # noqa: S101 (asked for above)
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def found(self) -> dict[str, Any]:
        """Return the JSON of the next line."""
        answer: dict[str, Any] = json.loads(self.line())
        return answer


def once(
    name: str, flags: Sequence[str], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a program to the line that it prints."""
    with Program(name, flags, environment) as program:
        return program.found()


def side_by_side(
    stack: ExitStack, count: int, name: str, flags: Sequence[str], python: str
) -> list[Program]:
    """Start `count` of a program that each wait, and return when all do."""
    programs = [stack.enter_context(Program(name, flags, None, python)) for _ in range(count)]
    for program in programs:
        program.line()
    return programs
