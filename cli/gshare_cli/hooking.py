"""How the calls of a local process reach the hook: what that takes of its environment."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gshare import names
from gshare.errors import GshareError
from gshare.runtime import shim
from gshare.runtime.native import Native

_ENV_LIBRARIES: Final = "LD_LIBRARY_PATH"
_DRIVER: Final = "libcuda.so.1"


def environment(
    hook: str, native: Native, given: Mapping[str, str], *, is_simulated: bool
) -> dict[str, str]:
    """Return the variables beside those that are `given`; GshareError if there can be no shim."""
    if hook == names.HOOK_PRELOAD:
        preload = [str(native.hook), os.environ.get(names.ENV_PRELOAD, "")]
        return {names.ENV_PRELOAD: ":".join(filter(None, preload))}
    drivers = native.simgpu.resolve() if is_simulated else _folder_of_driver()
    first = shim.folder_before(_cache(), drivers, native.hook.resolve())
    behind = given.get(_ENV_LIBRARIES) or os.environ.get(_ENV_LIBRARIES, "")
    return {_ENV_LIBRARIES: ":".join(filter(None, [str(first), behind]))}


def _cache() -> Path:
    """Return where shims stay: on a disk, as a tmpfs may be mounted noexec."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "gshare" / "shims"


def _folder_of_driver() -> Path:
    """Return where the loader finds this machine's driver."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError as error:
        raise GshareError(f"{error}: no shim can be made for it") from error
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith("libcuda.so"):
            return _folder_with_names(path)
    raise GshareError(f"{_DRIVER}: is loaded from no file: no shim can be made for it")


def _folder_with_names(path: Path) -> Path:
    if not (path.parent / _DRIVER).exists():
        raise GshareError(f"{path.parent / _DRIVER}: is not there: no shim can be made for it")
    return path.parent
