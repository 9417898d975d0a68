"""The node's own CDI spec for NVIDIA GPUs: which devices, libraries and hooks one GPU needs.

`nvidia-ctk cdi generate` writes it, at install or at each boot, as YAML or JSON. It names devices
by index, by UUID or by both, and has MIG devices and `all` beside the whole GPUs. A spec may be
older than the present numbering of GPUs, so a device is taken only if its file is the GPU's.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gshare.errors import GshareError

from .edits import ContainerEdits, merge, parse_edits
from .nvml import Device

KIND: Final = "nvidia.com/gpu"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_GPU_FILE: Final = re.compile(r"/dev/nvidia(\d+)")
_CURE: Final = "run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` on the node"
# Whatever the image says, an older NVIDIA runtime that stands in the way adds no GPU of its own.
_NO_OTHERS: Final = (("NVIDIA_VISIBLE_DEVICES", "void"),)


@dataclass(frozen=True, slots=True)
class NvidiaDevice:
    """One device of a spec, with what the spec gives to all of its devices."""

    name: str
    edits: ContainerEdits

    @property
    def minors(self) -> frozenset[int]:
        """Return the N of every /dev/nvidiaN that it has."""
        found = (
            _GPU_FILE.fullmatch(node.host_path or node.path) for node in self.edits.device_nodes
        )
        return frozenset(int(match[1]) for match in found if match)


class NvidiaDriver:
    """The real driver, as the node's CDI spec describes it to containers."""

    is_simulated: Final = False

    def __init__(self, folders: tuple[Path, ...]) -> None:
        """Take the folders of CDI specs; what lies in a later one goes before."""
        self._folders = folders

    def edits(self, device: Device, lease_id: str) -> ContainerEdits:
        """Return what a container on `device` needs; GshareError with the cure if no spec tells.

        The spec is read each time: it may have been written anew.
        """
        del lease_id
        found = find(devices(self._folders), device.gpu.uuid, device.index, device.minor)
        if found is None:
            where = " and ".join(str(folder) for folder in self._folders)
            raise GshareError(
                f"{device.gpu.uuid}: no CDI device of kind {KIND} for /dev/nvidia{device.minor} "
                f"in {where}: {_CURE}"
            )
        return merge(found.edits, ContainerEdits(env=_NO_OTHERS))


def find(
    known: Mapping[str, NvidiaDevice], uuid: str, index: int, minor: int
) -> NvidiaDevice | None:
    """Return the device of one whole GPU: by UUID, by index, else by its device file alone."""
    by_name = [known[name] for name in (uuid, str(index), f"gpu{index}") if name in known]
    for device in (*by_name, *known.values()):
        if device.minors == {minor} and not _is_mig(device):
            return device
    return None


def devices(folders: tuple[Path, ...]) -> dict[str, NvidiaDevice]:
    """Return the NVIDIA devices of all specs by name; GshareError for a spec that is none."""
    found: dict[str, NvidiaDevice] = {}
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES:
                found |= {device.name: device for device in _read(path)}
    return found


def _read(path: Path) -> Iterator[NvidiaDevice]:
    """Yield the devices of a spec; none where it is of another kind."""
    try:
        text = path.read_text()
        if KIND not in text:
            return
        spec: Any = json.loads(text) if path.suffix == ".json" else _yaml(text)
        if not isinstance(spec, Mapping) or spec.get("kind") != KIND:
            return
        shared = parse_edits(spec.get("containerEdits") or {})
        for entry in spec.get("devices") or ():
            own = parse_edits(entry.get("containerEdits") or {})
            yield NvidiaDevice(str(entry["name"]), merge(shared, own))
    except (OSError, ValueError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise GshareError(f"{path}: is no CDI spec: {_one_line(error)}: {_CURE}") from error


def _yaml(text: str) -> object:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a spec has some thousand lines
    return yaml.load(text, Loader=loader)  # noqa: S506 (it is a safe loader)


def _is_mig(device: NvidiaDevice) -> bool:
    """Tell whether a device is a part of a GPU: it has capability files besides the GPU's."""
    return any("nvidia-cap" in node.path for node in device.edits.device_nodes)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
