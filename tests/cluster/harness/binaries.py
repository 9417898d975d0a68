"""Kubernetes, containerd and kwok, built from their Go modules and kept outside the repository.

A module is built by a go.mod of four lines that requires it. Kubernetes' own go.mod lists its
staging modules (`k8s.io/api`, ...) as v0.0.0 and replaces them by folders that the module archive
does not hold; the published modules of the same release stand in for them.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .commands import run
from .errors import ClusterError, UnavailableError

_REPORT_EVERY_S: Final = 30.0
_DOWNLOAD_PATIENCE_S: Final = 900.0
_VERSION_PACKAGES: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")

Report = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module and the programs we build of it."""

    path: str
    version: str
    programs: tuple[str, ...]
    """Each is `<module path>/cmd/<program>`."""

    @property
    def folder(self) -> str:
        """The name of its folder in the cache, such as `kubernetes-1.37.2`."""
        name = self.path.removesuffix("/v2").rsplit("/", 1)[1]
        return f"{name}-{self.version}"


KUBERNETES: Final = Module(
    "k8s.io/kubernetes",
    "1.37.2",
    (
        "kube-apiserver",
        "kubelet",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubectl",
    ),
)
CONTAINERD: Final = Module(
    "github.com/containerd/containerd/v2",
    "2.4.2",
    ("containerd", "containerd-shim-runc-v2", "ctr"),
)
KWOK: Final = Module("sigs.k8s.io/kwok", "0.8.0", ("kwok",))
MODULES: Final = (KUBERNETES, CONTAINERD, KWOK)


def cache_dir() -> Path:
    """Return the folder that holds what is built once for all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gshare"


def path_of(module: Module, program: str) -> Path:
    """Return where a program of a module is, or will be."""
    return cache_dir() / module.folder / program


def folders() -> tuple[Path, ...]:
    """Return the folders that hold the programs, for a PATH."""
    return tuple(cache_dir() / module.folder for module in MODULES)


def missing(modules: Sequence[Module] = MODULES) -> list[tuple[Module, str]]:
    """Return the programs that are still to be built."""
    wanted = ((module, program) for module in modules for program in module.programs)
    return [
        (module, program) for module, program in wanted if not path_of(module, program).exists()
    ]


def build(report: Report, modules: Sequence[Module] = MODULES) -> None:
    """Build what is missing, one run at a time on this machine; a second run builds nothing."""
    if not missing(modules):
        return
    if shutil.which("go") is None:
        raise UnavailableError("Go is not installed, and Kubernetes has not been built yet")
    with _alone(report):
        todo = missing(modules)
        started = time.monotonic()
        for number, (module, program) in enumerate(todo, start=1):
            report(f"building {program} {module.version} ({number} of {len(todo)})")
            _build(module, program, lambda text: report(f"{text}, {_elapsed(started)} in all"))
        if todo:
            report(f"built {len(todo)} programs in {_elapsed(started)}")


@contextmanager
def _alone(report: Report) -> Iterator[None]:
    """Hold the cache's lock, which the kernel gives back when we end in any way."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another run that builds the same programs")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(module: Module, program: str, report: Report) -> None:
    """Build one program; the finished file appears whole."""
    target = path_of(module, program)
    target.parent.mkdir(parents=True, exist_ok=True)
    workshop = _workshop(module)
    part = target.with_suffix(".part")
    command = ["go", "build", "-trimpath", "-ldflags", _linker_flags(module), "-o", str(part)]
    log = workshop / f"{program}.log"
    with log.open("wb") as output:
        building = subprocess.Popen(
            [*command, f"{module.path}/cmd/{program}"],
            cwd=workshop,
            env=_go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _follow(building, program, report)
        except BaseException:
            building.kill()
            building.wait()
            raise
    if building.returncode != 0:
        said = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ClusterError(f"building {program} {module.version} failed:\n{said}")
    part.replace(target)


def _follow(building: subprocess.Popen[bytes], program: str, report: Report) -> None:
    """Wait for a build and tell now and then that it goes on."""
    started = time.monotonic()
    while True:
        try:
            building.wait(_REPORT_EVERY_S)
        except subprocess.TimeoutExpired:
            report(f"  still building {program}: {_elapsed(started)}")
        else:
            return


def _workshop(module: Module) -> Path:
    """Return a folder with the go.mod that makes `go build` find a module and its parts."""
    folder = cache_dir() / module.folder / "go"
    if (folder / "go.mod").exists():
        return folder
    found = json.loads(
        run(
            ["go", "mod", "download", "-json", f"{module.path}@v{module.version}"],
            environment=_go_environment(),
            timeout_s=_DOWNLOAD_PATIENCE_S,
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "go.mod.part"
    part.write_text(go_mod(module, Path(found["GoMod"]).read_text()))
    part.replace(folder / "go.mod")
    return folder


def go_mod(module: Module, its_go_mod: str) -> str:
    """Return a go.mod that requires a module, with the staging modules it lacks."""
    language = re.search(r"^go (\S+)$", its_go_mod, re.MULTILINE)
    if language is None:
        raise ClusterError(f"{module.path}'s go.mod names no Go version")
    lines = [
        "module gshare.test/build",
        f"go {language[1]}",
        f"require {module.path} v{module.version}",
    ]
    staged = sorted(set(re.findall(r"(k8s\.io/[\w.-]+) v0\.0\.0(?=\s)", its_go_mod)))
    if staged:
        release = "v0." + module.version.split(".", 1)[1]
        lines += ["replace (", *(f"\t{name} => {name} {release}" for name in staged), ")"]
    return "\n".join(lines) + "\n"


def _linker_flags(module: Module) -> str:
    flags = ["-s", "-w"]
    if module is KUBERNETES:
        major, minor, _ = module.version.split(".")
        values = {"gitVersion": f"v{module.version}", "gitMajor": major, "gitMinor": minor}
        flags += [
            f"-X {p}.{key}={value}" for p in _VERSION_PACKAGES for key, value in values.items()
        ]
    return " ".join(flags)


def _go_environment() -> dict[str, str]:
    """Return our environment with what the build needs: a go.mod it may complete, no C."""
    return {**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOWORK": "off"}


def _elapsed(since: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - since), 60)
    return f"{minutes}:{seconds:02}"
