"""Builds gshare's images without a registry, each as a docker-archive tar that is kept by content.

    python -m tests.cluster.images [NAME...]

Four layers of work, each kept until what it is made of changes: a Debian base (debootstrap), the
wheels of others installed upon it, our own wheel upon that by the part's own Containerfile, the
tar. An unchanged tree costs a digest; a changed source costs the last two. Everything lies in
`gshare/images` of the user's cache.
"""

import contextlib
import fcntl
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.cluster import buildah, wheels
from tests.cluster.harness import binaries
from tests.cluster.harness.small_images import Image

VERSION: Final = "0.1.0"
_KEPT_TARS: Final = 3
_DEPENDENCIES: Final = wheels.ROOT / "tests" / "cluster" / "Containerfile.dependencies"

_GSHARE: Final = wheels.Project(
    "gshare",
    wheels.ROOT,
    (
        "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "core", "extender",
        "deviceplugin", "cli", "simgpu", "hook/src", "hook/include", "hook/Makefile",
        "examples/inference-server/gshare_example_server", "examples/paper",
    ),
)  # fmt: skip
_SERVER: Final = wheels.Project(
    "gshare-example-server",
    wheels.ROOT / "examples" / "inference-server",
    (
        "examples/inference-server/pyproject.toml",
        "examples/inference-server/gshare_example_server",
    ),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is made: the wheel that it runs, where that is installed, its Containerfile."""

    reference: str
    project: wheels.Project
    prefix: str
    containerfile: Path


RECIPES: Final = {
    "node-agent": Recipe(
        f"gshare/node-agent:{VERSION}",
        _GSHARE,
        "/opt/gshare",
        wheels.ROOT / "deviceplugin" / "Containerfile",
    ),
    "extender": Recipe(
        f"gshare/extender:{VERSION}",
        _GSHARE,
        "/opt/gshare",
        wheels.ROOT / "extender" / "Containerfile",
    ),
    "example-server": Recipe(
        f"gshare/example-server:{VERSION}",
        _SERVER,
        "/opt/server",
        wheels.ROOT / "examples" / "inference-server" / "Containerfile",
    ),
}
SCHEDULER: Final = "kube-scheduler"
NAMES: Final = (*RECIPES, SCHEDULER)


def build(names: Iterable[str] = RECIPES) -> dict[str, Path]:
    """Return the tar of each image in `names` (see NAMES), built where it is not there yet."""
    cache = _cache()
    with _alone(cache):
        workshop = _Workshop(cache)
        return {name: workshop.tar(name) for name in names}


def reference(name: str) -> str:
    """Return what manifests call the image `name`."""
    if name == SCHEDULER:
        return f"{SCHEDULER}:v{binaries.KUBERNETES.version}"
    return RECIPES[name].reference


class _Workshop:
    """The cache while we hold its lock."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._store = buildah.Store(cache)

    @cached_property
    def _base(self) -> str:
        image = f"gshare-base:{wheels.digest_of([buildah.BASE_RECIPE])}"
        if not self._store.has(image):
            with _step("Debian base by debootstrap"):
                self._store.make_base(image)
        return f"localhost/{image}"

    def tar(self, name: str) -> Path:
        """Return the tar of the image `name`."""
        if name == SCHEDULER:
            return self._scheduler()
        recipe = RECIPES[name]
        key = wheels.digest_of(
            [recipe.project.digest, self._dependency_key(recipe), recipe.containerfile]
        )
        tar = self._cache / "tars" / f"{name}-{key}.tar"
        if not tar.exists():
            context = self._project_wheels(recipe)
            upon = self._dependencies(recipe)
            with _step(f"image {recipe.reference}"):
                self._assemble(recipe, context, upon, tar)
            self._forget_old(name)
        tar.touch()
        return tar

    def _assemble(self, recipe: Recipe, context: Path, upon: str, tar: Path) -> None:
        image = f"gshare-{tar.stem}"
        arguments = {"BASE": upon, "PIP_NO_INDEX": "1"}
        self._store.build(image, recipe.containerfile, context, arguments)
        self._store.export(image, recipe.reference, tar)
        self._store.remove(image)

    def _dependency_key(self, recipe: Recipe) -> str:
        return wheels.digest_of(
            [buildah.BASE_RECIPE, recipe.prefix, *recipe.project.requirements, _DEPENDENCIES]
        )

    def _dependency_wheels(self, recipe: Recipe) -> Path:
        key = wheels.digest_of([sys.version, *recipe.project.requirements])
        folder = self._cache / "wheels" / f"{recipe.project.name}-dependencies-{key}"
        with _step(f"wheels that {recipe.project.name} needs", folder):
            return wheels.dependencies(recipe.project.requirements, folder)

    def _project_wheels(self, recipe: Recipe) -> Path:
        others = self._dependency_wheels(recipe)
        folder = self._cache / "wheels" / f"{recipe.project.name}-{recipe.project.digest}"
        with _step(f"wheel of {recipe.project.name}", folder):
            return wheels.project(recipe.project, others, self._cache / "hatchling", folder)

    def _dependencies(self, recipe: Recipe) -> str:
        """Return the image of the base and the wheels of others."""
        image = f"gshare-dependencies:{self._dependency_key(recipe)}"
        if not self._store.has(image):
            arguments = {
                "BASE": self._base,
                "PREFIX": recipe.prefix,
                "REQUIREMENTS": " ".join(recipe.project.requirements),
            }
            context = self._dependency_wheels(recipe)
            with _step(f"layer of what {recipe.project.name} needs"):
                self._store.build(image, _DEPENDENCIES, context, arguments)
        return f"localhost/{image}"

    def _scheduler(self) -> Path:
        """Return the tar of the kube-scheduler that the harness has built."""
        program = binaries.path_of(binaries.KUBERNETES, SCHEDULER)
        state = program.stat()
        key = wheels.digest_of([f"{reference(SCHEDULER)} {state.st_size} {state.st_mtime_ns}"])
        tar = self._cache / "tars" / f"{SCHEDULER}-{key}.tar"
        if not tar.exists():
            path = f"usr/local/bin/{SCHEDULER}"
            image = Image(reference(SCHEDULER), {path: program.read_bytes()}, {}, [f"/{path}"])
            tar.parent.mkdir(parents=True, exist_ok=True)
            with _step(f"image {image.name}"):
                image.write(tar.with_name(f"{tar.name}.unfinished")).rename(tar)
        return tar

    def _forget_old(self, name: str) -> None:
        """Remove all but the tars of `name` that were used last."""
        tars = sorted(
            (tar for tar in (self._cache / "tars").glob(f"{name}-*.tar")),
            key=lambda tar: tar.stat().st_mtime,
        )
        for tar in tars[:-_KEPT_TARS]:
            tar.unlink()


def _cache() -> Path:
    return binaries.cache_dir() / "images"


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache: two sessions that build the same would do it twice."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _step(what: str, made: Path | None = None) -> Iterator[None]:
    """Say what is being built, and how long it took; nothing where `made` is there already."""
    if made is not None and made.exists():
        yield
        return
    began = time.monotonic()
    print(f"images: {what} ...", file=sys.stderr, flush=True)  # noqa: T201
    yield
    took = time.monotonic() - began
    print(f"images: {what}: {took:.1f} s", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    for name, tar in build(sys.argv[1:] or NAMES).items():
        print(f"{reference(name)}\t{tar}")  # noqa: T201
