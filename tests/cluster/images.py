"""Builds gshare's images without a registry, each as a docker-archive tar that is kept by content.

    python -m tests.cluster.images [NAME...]

Four layers of work, each kept until what it is made of changes: a Debian base (debootstrap), the
wheels of others installed upon it, our own wheel upon that by the part's own Containerfile, the
tar. An unchanged tree costs a digest; a changed source costs the last two. Everything lies in
`gshare/images` of the user's cache.
"""

import contextlib
import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.cluster import buildah, wheels
from tests.cluster.harness import binaries
from tests.cluster.harness.small_images import Image

VERSION: Final = "0.1.0"
_KEPT: Final = 3
_AT_ONCE: Final = 2
_LAYER: Final = "gshare-dependencies"
_DIGEST: Final = "[0-9a-f]" * 16
_DEPENDENCIES: Final = wheels.ROOT / "tests" / "cluster" / "Containerfile.dependencies"

_GSHARE: Final = wheels.Project(
    "gshare",
    wheels.ROOT,
    (
        "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "core", "extender",
        "deviceplugin", "autoscaler", "profiler", "cli", "modelstore/gshare_modelstore", "simgpu",
        "hook/src", "hook/include", "hook/Makefile",
        "examples/inference-server/gshare_example_server", "examples/paper",
    ),
)  # fmt: skip
_SERVER: Final = wheels.Project(
    "gshare-example-server",
    wheels.ROOT / "examples" / "inference-server",
    (
        "examples/inference-server/pyproject.toml",
        "examples/inference-server/gshare_example_server",
        "modelstore/gshare_modelstore",
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
        replace(_GSHARE, extra="modelstore"),
        "/opt/gshare",
        wheels.ROOT / "deviceplugin" / "Containerfile",
    ),
    "extender": Recipe(
        f"gshare/extender:{VERSION}",
        _GSHARE,
        "/opt/gshare",
        wheels.ROOT / "extender" / "Containerfile",
    ),
    "autoscaler": Recipe(
        f"gshare/autoscaler:{VERSION}",
        _GSHARE,
        "/opt/gshare",
        wheels.ROOT / "autoscaler" / "Containerfile",
    ),
    "profiler": Recipe(
        f"gshare/profiler:{VERSION}",
        replace(_GSHARE, extra="load"),
        "/opt/gshare",
        wheels.ROOT / "profiler" / "Containerfile",
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
    cache = binaries.cache_dir() / "images"
    with _alone(cache):
        workshop = _Workshop(cache)
        plans = {name: workshop.plan(name) for name in names}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tars = dict(zip(plans, pool.map(workshop.carry_out, plans.values()), strict=True))
        workshop.forget_old()
    return tars


def reference(name: str) -> str:
    """Return what manifests call the image `name`."""
    if name == SCHEDULER:
        return f"{SCHEDULER}:v{binaries.KUBERNETES.version}"
    return RECIPES[name].reference


@dataclass(frozen=True, slots=True)
class _Plan:
    """An image's tar, and how it is made if it is not there."""

    tar: Path
    reference: str = ""
    make: Callable[[], None] | None = None


class _Workshop:
    """The cache while we hold its lock."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._store = buildah.Store(cache)
        self._digests: dict[str, str] = {}

    @cached_property
    def _base(self) -> str:
        image = f"gshare-base:{wheels.digest_of([buildah.BASE_RECIPE])}"
        if not self._store.has(image):
            with _step("Debian base by debootstrap"):
                self._store.make_base(image)
        return f"localhost/{image}"

    def plan(self, name: str) -> "_Plan":
        """Return what is to be done for the image `name`, all that others share done already."""
        if name == SCHEDULER:
            return self._scheduler()
        recipe = RECIPES[name]
        key = wheels.digest_of(
            [self._digest(recipe.project), self._dependency_key(recipe), recipe.containerfile]
        )
        tar = self._cache / "tars" / f"{name}-{key}.tar"
        if tar.exists():
            return _Plan(tar)
        context = self._project_wheels(recipe)
        upon = self._dependencies(recipe)
        return _Plan(tar, recipe.reference, lambda: self._assemble(recipe, context, upon, tar))

    def carry_out(self, plan: "_Plan") -> Path:
        """Make the tar of `plan` if it is not there, and return it."""
        if plan.make is not None:
            with _step(f"image {plan.reference}"):
                plan.make()
        plan.tar.touch()
        return plan.tar

    def forget_old(self) -> None:
        """Remove all but what was used last, of each image and of each wheel of ours."""
        for name in NAMES:
            _keep_newest(self._cache / "tars", f"{name}-{_DIGEST}.tar")
        for project in {recipe.project.name for recipe in RECIPES.values()}:
            _keep_newest(self._cache / "wheels", f"{project}-{_DIGEST}")
        needed = {self._dependency_key(recipe) for recipe in RECIPES.values()}
        for tag in {*self._store.tags(_LAYER)} - needed:
            self._store.remove(f"{_LAYER}:{tag}")

    def _assemble(self, recipe: Recipe, context: Path, upon: str, tar: Path) -> None:
        image = f"gshare-{tar.stem}"
        arguments = {"BASE": upon, "PIP_NO_INDEX": "1"}
        self._store.build(image, recipe.containerfile, context, arguments)
        self._store.export(image, recipe.reference, tar)
        self._store.remove(image)

    def _digest(self, project: wheels.Project) -> str:
        """Return one digest during one build, however the sources change meanwhile."""
        if project.name not in self._digests:
            self._digests[project.name] = project.digest
        return self._digests[project.name]

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
        folder = self._cache / "wheels" / f"{recipe.project.name}-{self._digest(recipe.project)}"
        with _step(f"wheel of {recipe.project.name}", folder):
            return wheels.project(recipe.project, others, self._cache / "builders", folder)

    def _dependencies(self, recipe: Recipe) -> str:
        """Return the image of the base and the wheels of others."""
        image = f"{_LAYER}:{self._dependency_key(recipe)}"
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

    def _scheduler(self) -> "_Plan":
        """Plan the image of the kube-scheduler that the harness has built."""
        program = binaries.path_of(binaries.KUBERNETES, SCHEDULER)
        state = program.stat()
        path = f"bin/{SCHEDULER}"
        image_of = f"{reference(SCHEDULER)} {path} {state.st_size} {state.st_mtime_ns}"
        key = wheels.digest_of([image_of])
        tar = self._cache / "tars" / f"{SCHEDULER}-{key}.tar"
        if tar.exists():
            return _Plan(tar)

        def make() -> None:
            image = Image(reference(SCHEDULER), {path: program.read_bytes()}, {}, [f"/{path}"])
            tar.parent.mkdir(parents=True, exist_ok=True)
            image.write(tar.with_name(f"{tar.name}.unfinished")).rename(tar)

        return _Plan(tar, reference(SCHEDULER), make)


def _keep_newest(folder: Path, pattern: str) -> None:
    """Remove all that match `pattern` but those that were used last."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    for path in found[:-_KEPT]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


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
