"""Images made without a registry: a docker-archive is a layer, a configuration and a list.

`pause` holds a pod's namespaces, `busybox` is what most test pods run.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .commands import run
from .packages import BUSYBOX

PAUSE: Final = "gshare-test/pause:1"
BUSYBOX_IMAGE: Final = "gshare-test/busybox:1"

_PAUSE_SOURCE: Final = Path(__file__).with_name("pause.c")


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one layer."""

    name: str
    programs: Mapping[str, bytes]
    """Content of executables by path."""
    links: Mapping[str, str]
    command: Sequence[str]

    def write(self, path: Path) -> Path:
        """Write it as a docker-archive, which `ctr images import` reads."""
        layer = self._layer()
        configuration = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": list(self.command), "Env": ["PATH=/bin"]},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
                },
            }
        ).encode()
        digest = hashlib.sha256(configuration).hexdigest()
        listing = [{"Config": f"{digest}.json", "RepoTags": [self.name], "Layers": ["layer.tar"]}]
        with tarfile.open(path, "w") as archive:
            _add(archive, f"{digest}.json", configuration, 0o644)
            _add(archive, "layer.tar", layer, 0o644)
            _add(archive, "manifest.json", json.dumps(listing).encode(), 0o644)
        return path

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            for folder in ("bin", "tmp", "etc"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                layer.addfile(entry)
            for path, content in self.programs.items():
                _add(layer, path, content, 0o755)
            for path, target in self.links.items():
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                layer.addfile(entry)
        return buffer.getvalue()


def write_all(folder: Path) -> list[Path]:
    """Make the images every node needs and return their archives."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_pause(folder).write(folder / "pause.tar"), _busybox().write(folder / "busybox.tar")]


def _pause(folder: Path) -> Image:
    program = folder / "pause"
    run(["cc", "-Os", "-static", "-o", program, _PAUSE_SOURCE])
    return Image(PAUSE, {"bin/pause": program.read_bytes()}, {}, ["/bin/pause"])


def _busybox() -> Image:
    applets = run([BUSYBOX, "--list"]).split()
    links = {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
    return Image(BUSYBOX_IMAGE, {"bin/busybox": BUSYBOX.read_bytes()}, links, ["/bin/sh"])


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
