"""What containers load: versioned copies of the hook and the simulated drivers on the node.

A running process has its libraries mapped, so a file that containers load is never overwritten.
Each version lies in a folder named by its content, made beside its place and renamed. Folders that
no lease names any more are removed when somebody sweeps; a killed copy is removed then too.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gshare.runtime.native import Native

CONTAINER_ROOT: Final = "/usr/local/gshare"
CONTAINER_HOOK: Final = f"{CONTAINER_ROOT}/libgshare_hook.so"
_PRELOAD: Final = "ld.so.preload"
_DRIVERS: Final = "simgpu"
_DRAFT: Final = ".new-"
_DIGEST_LETTERS: Final = 16


@dataclass(frozen=True, slots=True)
class PodLibraries:
    """One version of what containers load, on the node."""

    folder: Path

    @property
    def digest(self) -> str:
        """Return the version's name; a lease records it to keep the version."""
        return self.folder.name

    @property
    def hook(self) -> Path:
        """Return the hook."""
        return self.folder / "libgshare_hook.so"

    @property
    def preload(self) -> Path:
        """Return the file that has every process of a container load the hook."""
        return self.folder / _PRELOAD

    @property
    def drivers(self) -> Path:
        """Return the folder of the simulated drivers; it is empty on a node with real GPUs."""
        return self.folder / _DRIVERS


def publish(root: Path, native: Native, *, simulated: bool) -> PodLibraries:
    """Return the version of `native` under `root`, made now if it is not there."""
    sources = dict(_sources(native, simulated=simulated))
    published = PodLibraries(root / _digest(sources))
    if not published.folder.exists():
        _copy(sources, published)
    return published


def sweep(root: Path, kept: Collection[str]) -> tuple[str, ...]:
    """Remove every version that is not `kept`, by digest, and return which these were."""
    gone = []
    for folder in root.iterdir() if root.exists() else ():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(folder.name)
    return tuple(gone)


def _sources(native: Native, *, simulated: bool) -> Iterator[tuple[str, bytes]]:
    """Yield what a version consists of: path in its folder, content."""
    yield native.hook.name, native.hook.read_bytes()
    yield _PRELOAD, f"{CONTAINER_HOOK}\n".encode()
    if simulated:
        for file in sorted(native.simgpu.glob("*.so*")):
            yield f"{_DRIVERS}/{file.name}", file.read_bytes()


def _digest(sources: dict[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, content in sources.items():
        whole.update(f"{name} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()[:_DIGEST_LETTERS]


def _copy(sources: dict[str, bytes], target: PodLibraries) -> None:
    """Write all files, readable by every user whatever our umask, then let them appear at once."""
    draft = target.folder.with_name(f"{_DRAFT}{target.digest}-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / _DRIVERS).mkdir(parents=True)
    for name, content in sources.items():
        (draft / name).write_bytes(content)
        (draft / name).chmod(0o644 if name == _PRELOAD else 0o755)
    (draft / _DRIVERS).chmod(0o755)
    draft.chmod(0o755)
    try:
        draft.rename(target.folder)
    except OSError:
        shutil.rmtree(draft)
        if not target.folder.exists():  # else another process was first with the same content
            raise
