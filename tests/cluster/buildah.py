"""Runs buildah on a store of our own: no daemon, no registry, nothing of the machine's images."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.cluster.harness.commands import run

_PATIENCE_S: Final = 600
# Packages beyond the minimal system; what an image cannot use is left out of the base.
_SUITE = "bookworm"
_INCLUDED = "python3"
_UNUSED = (
    "var/cache/apt/archives", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man",
    "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bash-completion",
)  # fmt: skip
BASE_RECIPE = repr((_SUITE, _INCLUDED, _UNUSED))


class Store:
    """Images by name. Each is local: `localhost/<name>`."""

    def __init__(self, folder: Path) -> None:
        self._options = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def has(self, image: str) -> bool:
        """Tell whether `image` is there."""
        return self._call("images", "--quiet", "--filter", f"reference={image}") != ""

    def tags(self, name: str) -> list[str]:
        """Return the tags of the images called `name`."""
        wanted = f"reference=localhost/{name}"
        return self._call("images", "--filter", wanted, "--format", "{{.Tag}}").split()

    def make_base(self, image: str) -> None:
        """Make `image` a small Debian with Python, by debootstrap."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            system = Path(folder) / "system"
            run(
                ["debootstrap", "--variant=minbase", f"--include={_INCLUDED}", _SUITE, system],
                timeout_s=_PATIENCE_S,
            )
            for name in _UNUSED:
                run(["find", system / name, "-mindepth", "1", "-delete"])
            container = self._call("from", "scratch")
            self._call("copy", "--quiet", container, str(system), "/")
            self._call("config", "--env", "LANG=C.UTF-8", container)
            self._call("commit", "--quiet", "--rm", container, image)

    def build(
        self, image: str, containerfile: Path, context: Path, arguments: Mapping[str, str]
    ) -> None:
        """Build `containerfile` in `context` into `image`."""
        words = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self._call(
            "bud", "--quiet", "--isolation=chroot", "--pull=false", "--layers=false", *words,
            f"--file={containerfile}", f"--tag={image}", str(context),
        )  # fmt: skip

    def export(self, image: str, reference: str, tar: Path) -> None:
        """Write `image` as a docker-archive that names it `reference`; `tar` is whole or absent."""
        tar.parent.mkdir(parents=True, exist_ok=True)
        unfinished = tar.with_name(f"{tar.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        self._call("push", "--quiet", image, f"docker-archive:{unfinished}:{reference}")
        unfinished.rename(tar)

    def remove(self, image: str) -> None:
        """Forget `image`; its layers stay while others need them."""
        self._call("rmi", image)

    def _call(self, command: str, *arguments: str) -> str:
        return run(["buildah", *self._options, command, *arguments], timeout_s=_PATIENCE_S).strip()
