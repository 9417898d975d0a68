"""Shims before a container's driver, where its pod asks for them (`gshare.io/hook: shim`).

The driver's part of a container is changed as it comes, whoever wrote it. A file that is one of the
driver's libraries is mounted at a path of ours instead, and its shim where the file was to be: so
all names that lead there (`libcuda.so`, `.so.1`, and the one with the version, which the NVIDIA
toolkit links by hooks of its own) lead to the shim. In a folder of libraries the shim covers each
name. The runtime mounts by depth, so what covers a file comes after its folder.

A shim is made of the driver's content. The driver's file is looked at for each container that
starts, and another one gets another shim; files that no driver is made of any more are removed then
(a container that runs keeps what it mounted).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gshare.errors import GshareError
from gshare.runtime.shim import FRONTED, Shims

from .edits import ContainerEdits, Mount, merge
from .libraries import CONTAINER_HOOK, CONTAINER_ROOT

CONTAINER_DRIVER: Final = f"{CONTAINER_ROOT}/driver"
_FILE: Final = re.compile(r"(libcuda|libnvidia-ml)\.so(\.\d+)*")
_ELF_32: Final = b"\x7fELF\x01"


class PodShims:
    """The shims of one node. Safe to use from any thread."""

    def __init__(self, state: Path, host_root: Path) -> None:
        """Take the node's state directory, and where the host's files lie for us."""
        self._state = state
        self._host_root = host_root
        self._shims = Shims(state / "shims")

    def before(self, driver: ContainerEdits) -> ContainerEdits:
        """Return the driver's part of a container with shims before it.

        GshareError with the file and the reason where the driver cannot have one: a container that
        asks for a shim does not run without.
        """
        mounts = tuple(each for mount in driver.mounts for each in self._replaced(mount))
        if not any(each.container_path == _driver_path("libcuda.so.1") for each in mounts):
            raise GshareError("no libcuda.so among the driver's mounts: no shim can be made for it")
        root = str(self._shims.root)
        self._shims.keep_only([Path(m.host_path) for m in mounts if m.host_path.startswith(root)])
        return merge(replace(driver, mounts=mounts))

    def _replaced(self, mount: Mount) -> Iterator[Mount]:
        local = self._local(mount.host_path)
        match = _FILE.fullmatch(Path(mount.container_path).name)
        if match and not local.is_dir():
            yield from self._before_file(mount, local, f"{match[1]}.so.1")
            return
        yield mount
        for name, link in FRONTED.items() if local.is_dir() else ():
            if (local / name).exists():
                yield from self._before_files_of(mount, local, name, link)

    def _before_file(self, mount: Mount, local: Path, soname: str) -> Iterator[Mount]:
        """Put the file away and the shim there. A 32-bit one goes: the hook cannot hold it."""
        if _is_32_bit(local):
            return
        yield replace(mount, container_path=_driver_path(soname))
        yield Mount.executable(self._shim(local, soname), mount.container_path)

    def _before_files_of(self, mount: Mount, local: Path, name: str, link: str) -> Iterator[Mount]:
        yield Mount.executable(Path(mount.host_path) / name, _driver_path(name))
        shim = self._shim(local / name, name)
        for each in (name, link):
            if (local / each).exists() and not (local / each).is_symlink():
                yield Mount.executable(shim, f"{mount.container_path}/{each}")

    def _shim(self, driver: Path, soname: str) -> Path:
        return self._shims.of(driver, CONTAINER_HOOK, _driver_path(soname))

    def _local(self, host_path: str) -> Path:
        """Return where we see a path of the host; the state directory is at the same path."""
        path = Path(host_path)
        return path if path.is_relative_to(self._state) else self._host_root / path.relative_to("/")


def _driver_path(soname: str) -> str:
    """Return where the driver itself lies: under no name that the loader looks for in folders."""
    return f"{CONTAINER_DRIVER}/{soname}.driver"


def _is_32_bit(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF_32)) == _ELF_32
    except OSError:
        return False  # the shim's maker says what is wrong
