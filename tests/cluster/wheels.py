"""Makes the folders of wheels that images are built from, each once for its content."""

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.harness.commands import run

_PATIENCE_S: Final = 600
ROOT: Final = Path(__file__).resolve().parents[2]
_IGNORED: Final = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True, slots=True)
class Project:
    """A distribution of this repository: its folder, and what its wheel is made of.

    `extra` is one of its optional dependencies, of those that name no other one.
    """

    name: str
    folder: Path
    sources: tuple[str, ...]
    extra: str = ""

    @property
    def requirements(self) -> tuple[str, ...]:
        """Return what it depends on, as its pyproject.toml says."""
        said = self._read()["project"]
        extra = said["optional-dependencies"][self.extra] if self.extra else ()
        return (*said["dependencies"], *extra)

    @property
    def backend(self) -> tuple[str, ...]:
        """Return what builds it, as its pyproject.toml says."""
        return tuple(self._read()["build-system"]["requires"])

    @property
    def digest(self) -> str:
        """Return a text that changes with every file of the wheel."""
        return digest_of(ROOT / source for source in self.sources)

    def _read(self) -> dict[str, Any]:
        with (self.folder / "pyproject.toml").open("rb") as file:
            return tomllib.load(file)


def digest_of(parts: Iterable[Path | str]) -> str:
    """Return 16 hex digits over texts, files and all files of folders, names included."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode() + b"\0")
            continue
        for path in _files(part):
            total.update(str(path.relative_to(ROOT)).encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = []
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if name not in _IGNORED]
        found.extend(Path(folder) / file for file in files)
    return sorted(found)


def dependencies(requirements: Sequence[str], folder: Path) -> Path:
    """Return `folder` with the wheels of `requirements`, of all they need, and of pip."""
    return _once(folder, lambda made: _pip("wheel", "--wheel-dir", str(made), "pip", *requirements))


def project(wanted: Project, others: Path, builders: Path, folder: Path) -> Path:
    """Return `folder` with the wheel of `wanted`, and pip's out of the folder `others`.

    `builders` keeps what builds wheels, so that a rebuild needs no package index.
    """
    backend = _once(
        builders / digest_of([sys.version, *wanted.backend]),
        lambda made: _pip("install", "--target", str(made), *wanted.backend),
    )

    def make(made: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(backend)}
        command = ["env", f"--chdir={wanted.folder}", sys.executable, "-m", "hatchling", "build"]
        run([*command, "-t", "wheel", "-d", made], environment=environment, timeout_s=_PATIENCE_S)
        for wheel in others.glob("pip-*.whl"):
            shutil.copy(wheel, made)

    return _once(folder, make)


def _once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, filled by `make` under another name first, so that it is whole or absent."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        make(made)
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _pip(command: str, *arguments: str) -> None:
    run([sys.executable, "-m", "pip", command, "--quiet", *arguments], timeout_s=_PATIENCE_S)
