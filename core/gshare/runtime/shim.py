"""Makes shims (`gshare.shim`) on the machine that has the driver, once for each driver.

A shim is known by what it was made of: the driver's content and the paths that it names. So another
driver gets another, and one that is there is never written again: processes have it mapped.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gshare import elf, shim
from gshare.errors import GshareError

FRONTED: Final[Mapping[str, str]] = MappingProxyType(
    {"libcuda.so.1": "libcuda.so", "libnvidia-ml.so.1": "libnvidia-ml.so"}
)
"""The libraries that a shim stands before, and the names under which developers' links have them.
Where the hook is not preloaded, NVML needs one too: it tells of memory."""

_FORM: Final = b"1"
"""Counted up when `gshare.shim` builds another file of the same driver."""
_DIGEST_LETTERS: Final = 16


def write(path: Path, hook: Path, driver: Path) -> None:
    """Write the shim of `driver`. GshareError with the file and the reason where it has none."""
    path.write_bytes(_built(driver, _content(driver), str(hook.resolve()), str(driver.resolve())))
    path.chmod(0o755)


class Shims:
    """The shims that lie under a folder. Safe to use from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._digests: dict[Path, tuple[tuple[int, ...], str]] = {}  # by file; under _lock

    def of(self, driver: Path, hook_path: str, driver_path: str) -> Path:
        """Return the shim of `driver`, made now if it is not there.

        `hook_path` and `driver_path` are where those lie for who loads the shim. GshareError with
        the file and the reason where the driver cannot have one.
        """
        with self._lock:
            made_of = f"{self._digest(driver)}\n{hook_path}\n{driver_path}\n".encode() + _FORM
            name = hashlib.sha256(made_of).hexdigest()[:_DIGEST_LETTERS]
            path = self.root / name / "shim.so"
            if not path.exists():
                _publish(path, _built(driver, _content(driver), hook_path, driver_path))
            return path

    def keep_only(self, shims: Collection[Path]) -> None:
        """Remove all shims but these."""
        kept = {path.parent.name for path in shims}
        with self._lock:
            for folder in self.root.iterdir() if self.root.exists() else ():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def _digest(self, driver: Path) -> str:
        """Return what a driver is known by; a file that did not change is not read again."""
        try:
            status = driver.stat()
        except OSError as error:
            raise _refused(driver, error.strerror or "cannot be read") from error
        mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._digests.get(driver)
        if known is None or known[0] != mark:
            known = (mark, hashlib.sha256(_content(driver)).hexdigest())
            self._digests[driver] = known
        return known[1]


def folder_before(folder: Path, drivers: Path, hook: Path) -> Path:
    """Make a folder of shims before the libraries in `drivers`, for LD_LIBRARY_PATH to name first.

    GshareError where libcuda cannot have one.
    """
    shims = Shims(folder)
    found = {name: drivers / name for name in FRONTED if (drivers / name).exists()}
    made = {name: shims.of(file, str(hook), str(file)) for name, file in found.items()}
    if "libcuda.so.1" not in made:
        raise _refused(drivers / "libcuda.so.1", "is not there")
    together = hashlib.sha256("".join(sorted(map(str, made.values()))).encode()).hexdigest()
    target = folder / f"path-{together[:_DIGEST_LETTERS]}"
    target.mkdir(parents=True, exist_ok=True)
    for name, path in made.items():
        for link in (name, FRONTED[name]):
            draft = target / f".{link}-{os.getpid()}"
            draft.unlink(missing_ok=True)
            draft.symlink_to(path)
            draft.replace(target / link)
    return target


def _built(driver: Path, content: bytes, hook_path: str, driver_path: str) -> bytes:
    try:
        return shim.build(elf.read(content), hook_path, driver_path)
    except ValueError as error:
        raise _refused(driver, str(error)) from error


def _content(driver: Path) -> bytes:
    try:
        return driver.read_bytes()
    except OSError as error:
        raise _refused(driver, error.strerror or "cannot be read") from error


def _refused(driver: Path, reason: str) -> GshareError:
    return GshareError(f"{driver}: {reason}: no shim can be made for it")


def _publish(path: Path, content: bytes) -> None:
    """Write a file that all users may load, and let it appear at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    draft.write_bytes(content)
    draft.chmod(0o755)
    draft.replace(path)
