"""The control groups below which a cluster's pods are."""

import contextlib
import time
from pathlib import Path
from typing import Final

from .errors import ClusterError

_MOUNTS: Final = Path("/proc/mounts")
_V1: Final = "cgroup"
_V2: Final = "cgroup2"
_CONTROLLERS: Final = ("cpuset", "cpu", "memory", "pids")
_SHARES: Final = (("cpu.shares", "32768"), ("cpu.weight", "3200"))
"""Of the processor: 32 times a process that runs beside the cluster, since it stands for many."""
_ROUNDS: Final = 200
_POLL_S: Final = 0.05


def create(name: str) -> None:
    """Make group `name` (a path below the root) in every hierarchy, ready to have children."""
    for root in _hierarchies(_V1) or _hierarchies(_V2):
        group = root
        for part in Path(name).parts:
            _pass_on_controllers(group)
            group /= part
            group.mkdir(exist_ok=True)
            _fill_cpuset(group)
            _give_shares(group)
        _pass_on_controllers(group)


def remove(name: str) -> None:
    """Remove group `name` with its children from every hierarchy.

    The kernel frees a group a moment after its last process has ended.
    """
    roots = [*_hierarchies(_V1), *_hierarchies(_V2)]  # runc makes groups in both
    for _ in range(_ROUNDS):
        for root in roots:
            _remove_tree(root / name)
        if not any((root / name).exists() for root in roots):
            return
        time.sleep(_POLL_S)
    raise ClusterError(f"control group {name} still has processes")


def _remove_tree(group: Path) -> None:
    if not group.is_dir():
        return
    for child in group.iterdir():
        if child.is_dir():
            _remove_tree(child)
    with contextlib.suppress(OSError):
        group.rmdir()


def _hierarchies(kind: str) -> list[Path]:
    """Return where the hierarchies of one version are mounted."""
    mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    return [Path(words[1]) for words in mounts if words[2] == kind]


def _fill_cpuset(group: Path) -> None:
    """Give a version 1 cpuset its parent's processors; a new one has none and takes no process."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        own, parents = group / file, group.parent / file
        if own.exists() and parents.exists() and not own.read_text().strip():
            own.write_text(parents.read_text())


def _give_shares(group: Path) -> None:
    for name, value in _SHARES:
        file = group / name
        if file.exists():
            file.write_text(value)


def _pass_on_controllers(group: Path) -> None:
    """Let children of a version 2 group have controllers of their own."""
    switch = group / "cgroup.subtree_control"
    if not switch.exists():
        return
    for controller in _CONTROLLERS:
        with contextlib.suppress(OSError):
            switch.write_text(f"+{controller}")
