"""What the cluster takes from the distribution, and how the missing part is installed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .commands import run
from .errors import UnavailableError

CNI_DIR: Final = Path("/usr/lib/cni")
BUSYBOX: Final = Path("/bin/busybox")

_INSTALL_PATIENCE_S: Final = 600.0

# A file or program that each package brings.
_PACKAGES: Final = {
    "etcd-server": "etcd",
    "runc": "runc",
    "containernetworking-plugins": str(CNI_DIR / "bridge"),
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "debootstrap": "debootstrap",
    "buildah": "buildah",
    "busybox-static": str(BUSYBOX),
}


def missing() -> list[str]:
    """Return the packages that are not there."""
    return [package for package, file in _PACKAGES.items() if shutil.which(file) is None]


def install(report: Callable[[str], object]) -> None:
    """Install what is missing; UnavailableError where that cannot be done."""
    lacking = missing()
    if not lacking:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise UnavailableError(f"these packages are missing: {' '.join(lacking)}")
    report(f"installing {' '.join(lacking)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], environment=quiet, timeout_s=_INSTALL_PATIENCE_S)
    run(
        ["apt-get", "install", "-qq", "--no-install-recommends", *lacking],
        environment=quiet,
        timeout_s=_INSTALL_PATIENCE_S,
    )
