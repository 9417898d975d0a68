"""CDI specs: what a runtime changes in a container with the device `gshare.io/lease=<digest>`.

`Allocate` names the device before anybody knows the GPU; the spec is written at PreStartContainer,
and the runtime reads it when it makes the container. Environment in a spec wins over the pod's own.
A spec is written beside its place and renamed, so a runtime reads an old or a new one, whole.
"""

import json
import re
from pathlib import Path
from typing import Final

from gshare import names
from gshare.wire import Limits

from .edits import ContainerEdits, Mount, encode_edits, merge
from .libraries import CONTAINER_HOOK, PodLibraries
from .mps_paths import MpsPaths

__all__ = [
    "ContainerEdits",
    "digests",
    "lease_edits",
    "merge",
    "remove_spec",
    "spec",
    "spec_path",
    "write_spec",
]

# Device names that begin with a digit need 0.5.0, additional gids 0.7.0. The least that will do is
# written, as nvidia-ctk does: a runtime refuses versions that it does not know.
_VERSION: Final = "0.5.0"
_VERSION_WITH_GIDS: Final = "0.7.0"
_PREFIX: Final = names.CDI_KIND.replace("/", "-") + "-"
_FILE: Final = re.compile(re.escape(_PREFIX) + r"([0-9a-f]{1,64})\.json")
_DIGEST: Final = re.compile(r"[0-9a-f]{1,64}")
_MIB: Final = 1 << 20

CONTAINER_PRELOAD: Final = "/etc/ld.so.preload"
CONTAINER_MPS_PIPE: Final = "/run/gshare/mps"


def lease_edits(
    limits: Limits,
    folder: Path,
    libraries: PodLibraries,
    mps: MpsPaths | None = None,
    hook: str = names.HOOK_PRELOAD,
) -> ContainerEdits:
    """Return what makes a container run under a lease, on whatever kind of GPU.

    `folder` is the lease's, on the host; `mps` is where the GPU's MPS control daemon serves, None
    where none runs. The GPU itself comes by `Inventory.edits`: merge that first, then this.

    A shim (shims.py) needs no preload, and what it is asked for are images that defeat one: it has
    the hook loaded, in programs that use CUDA alone, and the image's own file stays in force.
    """
    lease = names.CONTAINER_LEASE_DIR
    memory_mib = -(-limits.memory_limit_bytes // _MIB)
    env = (
        (names.ENV_LEASE_DIR, lease),
        (names.ENV_VISIBLE_DEVICES, limits.gpu_uuid),
        (names.ENV_MPS_PERCENTAGE, str(limits.sm_percent)),
        (names.ENV_MPS_MEMORY_LIMIT, f"0={memory_mib}M"),
    )
    mounts = (
        Mount.read_only(folder, lease),
        Mount.read_write(folder / names.FILE_COUNTERS, f"{lease}/{names.FILE_COUNTERS}"),
        Mount.executable(libraries.hook, CONTAINER_HOOK),
    )
    preload = Mount.read_only(libraries.preload, CONTAINER_PRELOAD)
    preloaded = ContainerEdits(mounts=(preload,) if hook == names.HOOK_PRELOAD else ())
    return merge(ContainerEdits(env, mounts), preloaded, _mps_edits(mps))


def write_spec(folder: Path, digest: str, edits: ContainerEdits) -> Path:
    """Write the spec of the device `digest`, in one step, and return its path."""
    target = spec_path(folder, digest)
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.new")  # no runtime reads files that end so
    draft.write_text(json.dumps(spec(digest, edits), indent=1))
    draft.chmod(0o644)
    draft.replace(target)
    return target


def remove_spec(folder: Path, digest: str) -> None:
    """Remove the spec of the device `digest`, where there is one."""
    spec_path(folder, digest).unlink(missing_ok=True)


def digests(folder: Path) -> frozenset[str]:
    """Return the devices that have a spec of ours in `folder`."""
    try:
        found = [_FILE.fullmatch(entry.name) for entry in folder.iterdir()]
    except FileNotFoundError:
        return frozenset()
    return frozenset(match[1] for match in found if match)


def spec_path(folder: Path, digest: str) -> Path:
    """Return where the spec of the device `digest` lies; ValueError if it is no digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"digest {digest!r}: must be lower-case hexadecimal")
    return folder / f"{_PREFIX}{digest}.json"


def spec(digest: str, edits: ContainerEdits) -> dict[str, object]:
    """Return the spec of the device `digest` as JSON has it."""
    return {
        "cdiVersion": _VERSION_WITH_GIDS if edits.additional_gids else _VERSION,
        "kind": names.CDI_KIND,
        "devices": [{"name": digest, "containerEdits": encode_edits(edits)}],
    }


def _mps_edits(mps: MpsPaths | None) -> ContainerEdits:
    """Connect a container with a GPU's MPS control daemon, and share memory with its server.

    A socket can be connected to through a read-only mount, and nobody there can replace it. The
    daemon takes commands that end others from root alone, which it also takes from a container's.
    """
    if mps is None:
        return ContainerEdits()
    env = ((names.ENV_MPS_PIPE_DIRECTORY, CONTAINER_MPS_PIPE),)
    mounts = (
        Mount.read_only(mps.pipe, CONTAINER_MPS_PIPE),
        Mount.read_write(mps.shm, "/dev/shm"),  # noqa: S108 (the driver's own place)
    )
    return ContainerEdits(env, mounts)
