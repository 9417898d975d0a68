"""Real memory of eight processes that hold 1 GiB of weights together, without a GPU.

PSS is what Linux says that a process takes, each page divided by how many have it mapped, so sums
over processes count nothing twice. The store's own process is counted with them. Processes are
programs of their own, or workers that one process has forked; interpreters and libraries of the
former take 15 MiB each with numpy and 125 MiB with PyTorch, whatever they load.
"""

import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare.runtime.report import Claim

from . import weights
from .running import LoneStore, Program, side_by_side

PROCESSES: Final = 8
_GIB: Final = 1 << 30
_BAR_GIB: Final = 1.1
_DEBIANS_PYTHON: Final = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Together:
    """Bytes of PSS of all processes and the store: before they took the weights, and with them."""

    through: str
    before_bytes: int
    with_bytes: int
    private_bytes: int
    """What one process takes that loads the same file for itself, over what it took before."""
    are_forked: bool = False

    @property
    def added_bytes(self) -> int:
        """Return what the weights cost all of them."""
        return self.with_bytes - self.before_bytes

    def row(self) -> dict[str, object]:
        """Return the row of the report."""
        return {
            "part": "pss",
            "through": self.through,
            "processes": f"{PROCESSES} {'workers' if self.are_forked else 'programs'}",
            "weights_bytes": weights.BYTES,
            "before_bytes": self.before_bytes,
            "with_bytes": self.with_bytes,
            "weights_cost_bytes": self.added_bytes,
            "one_alone_bytes": self.private_bytes,
        }

    def claims(self) -> list[Claim]:
        """Judge what the weights cost; of forked workers all that they take."""
        name = f"{PROCESSES} processes with 1 GiB, {self.through}"
        if self.are_forked:
            whole_gib = self.with_bytes / _GIB
            return [Claim.compare(f"{name}, forked: all of them", whole_gib, "GiB", "<=", _BAR_GIB)]
        cost_gib = self.added_bytes / _GIB
        return [Claim.compare(f"{name}: the weights", cost_gib, "GiB", "<=", _BAR_GIB)]


def measure(file: Path, torch_python: str | None) -> list[Together]:
    """Measure through numpy, and through PyTorch where there is one."""
    found = [_programs(file, "numpy", sys.executable), _workers(file, "numpy", sys.executable)]
    if torch_python is not None:
        found.append(_programs(file, "torch", torch_python))
    return found


def python_with_torch(given: str | None) -> str | None:
    """Return a Python that has PyTorch and numpy: the one that is `given`, or Debian's."""
    for python in filter(None, (given, _DEBIANS_PYTHON)):
        try:
            done = subprocess.run(
                [python, "-c", "import torch, numpy"], capture_output=True, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


def _programs(file: Path, through: str, python: str) -> Together:
    """Measure programs of their own, before they ask the store and when all have looked."""
    flags = _flags(file, through)
    with LoneStore() as store, ExitStack() as stack:
        held = [*flags, f"--socket={store.socket}", "--wait", "--hold"]
        programs = side_by_side(stack, PROCESSES, "replica", held, python)
        pids = [store.pid, *(program.pid for program in programs)]
        before = _pss_bytes(pids)
        for program in programs:
            program.go()
        for program in programs:
            assert program.found()["is_shared"], "the store serves"  # noqa: S101 (a check)
        taken = _pss_bytes(pids)
    return Together(through, before, taken, _alone(flags, python))


def _workers(file: Path, through: str, python: str) -> Together:
    """Measure the workers of one program, and it."""
    flags = _flags(file, through)
    with LoneStore() as store:
        held = [*flags, f"--socket={store.socket}", "--wait", "--hold", f"--workers={PROCESSES}"]
        with Program("replica", held, None, python) as parent:
            parent.line()
            before = _pss_bytes([store.pid, parent.pid])
            parent.go()
            told = [parent.found() for _ in range(PROCESSES)]
            assert all(each["is_shared"] for each in told), told  # noqa: S101 (a check)
            taken = _pss_bytes([store.pid, parent.pid, *(each["pid"] for each in told)])
    return Together(through, before, taken, _alone(flags, python), are_forked=True)


def _flags(file: Path, through: str) -> list[str]:
    return [f"--key={weights.KEY}", f"--file={file}", f"--through={through}"]


def _alone(flags: list[str], python: str) -> int:
    """Return the PSS that weights of its own add to one process, where no store is."""
    own = [*flags, "--socket=/nowhere", "--wait", "--hold"]
    with Program("replica", own, None, python) as program:
        program.line()
        before = _pss_bytes([program.pid])
        program.go()
        program.found()
        return _pss_bytes([program.pid]) - before


def _pss_bytes(pids: Iterable[int]) -> int:
    return sum(_one_pss_bytes(pid) for pid in pids)


def _one_pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
