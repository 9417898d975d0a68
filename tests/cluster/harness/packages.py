"""What the cluster takes from the distribution, and how the missing part is installed."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .commands import run
from .errors import UnavailableError

CNI_DIR: Final = Path("/usr/lib/cni")
BUSYBOX: Final = Path("/bin/busybox")

_INSTALL_PATIENCE_S: Final = 600.0

# A file or program that each package brings.
NEEDED: Final = {
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
PROMETHEUS: Final = {"prometheus": "prometheus"}
"""What only some tests need."""


def missing(wanted: Mapping[str, str] = NEEDED) -> list[str]:
    """Return the packages that are not there."""
    return [package for package, file in wanted.items() if shutil.which(file) is None]


def install(report: Callable[[str], object], wanted: Mapping[str, str] = NEEDED) -> None:
    """Install what is missing; UnavailableError where that cannot be done."""
    lacking = missing(wanted)
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
